"""Turns an unexpected exception of the lab's code (a defect) into a sentence with the reason.

No other module catches every `Exception`. The caller supplies the result that replaces the lost
one: a row or a sentence. The sentence has the exception's type and line but not its message, which
may hold a path or a value of the user; the traceback goes to a file. Every defect is also logged,
and the tests fail on each such record.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.core import files
from lab.core.errors import DiskError, LabError, ResultsError

LOGGER = logging.getLogger(__name__)
LOGGER.addHandler(logging.NullHandler())  # otherwise logging prints on standard error
FILE = "defect.txt"
SOURCES = Path(__file__).parents[2]
Result = TypeVar("Result")


def contained(
    work: Callable[[], Result], otherwise: Callable[[str], Result], folder: Path | None = None
) -> Result:
    """Return the result of `work`, or of `otherwise` if `work` raises.

    Args:
        work: A function that may fail. The reason is the message of a `LabError`; any other
            exception is a defect.
        otherwise: Makes the result from the reason, a sentence.
        folder: Where the traceback of a defect is written; None: nowhere.

    Raises:
        DiskError: Nothing more can be written, so the command must end.
    """
    try:
        return work()
    except DiskError:
        raise
    except LabError as error:
        return otherwise(" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 (the only place that catches defects)
        return otherwise(describe(error, folder))


def describe(error: BaseException, folder: Path | None = None) -> str:
    """Return a sentence that describes a defect, and write its traceback into `folder`."""
    LOGGER.error("A defect of the lab", exc_info=error)
    sentence = f"A defect of the lab: {type(error).__name__}{_place(error)}."
    if folder is not None:
        with contextlib.suppress(OSError, ResultsError):  # the sentence is useful without the file
            text = "".join(traceback.format_exception(error))
            files.replace(folder / FILE, text.encode(errors="backslashreplace"), folder.parent)
            return f"{sentence} Its traceback is in {FILE}; report it as an issue."
    return sentence


def crash_message(error: Exception) -> str:
    """Return the last message of a command that a defect or a full disk has ended."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f" ({error.filename})" if error.filename else ""
        return f"A disk is full{where}. Finished results are intact; free some space and retry."
    folder = None
    with contextlib.suppress(OSError):  # there may be no place for a file
        folder = Path(tempfile.mkdtemp(prefix="lab-defect-"))
    sentence = describe(error, folder)
    return f"{sentence} Its folder: {folder}" if folder else sentence


def _place(error: BaseException) -> str:
    """Return the innermost line of the lab's code in the traceback."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = ((Path(frame.filename), frame.lineno) for frame in frames)
    ours = (f for f in places if f[0].is_relative_to(SOURCES / "lab"))
    file, line = next(ours, (None, None))
    return f" at {file.relative_to(SOURCES)} line {line}" if file else ""
