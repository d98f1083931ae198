"""Contains defects of the lab: an exception that no code expected becomes a sentence with a reason.

The only place where the lab catches every `Exception`. What calls it names what takes the place of
the result, which is always a row or a sentence. The sentence has the type and the line, but not the
exception's message, which may hold a path or a value of the user's; the traceback goes to a file.
The logger tells it to whoever listens, which the tests do: none of them passes over a defect.
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

from lab import files
from lab.errors import DiskError, LabError, ResultsError

LOGGER = logging.getLogger(__name__)
LOGGER.addHandler(logging.NullHandler())  # else logging would print on standard error
FILE = "defect.txt"
SOURCES = Path(__file__).parents[1]
Result = TypeVar("Result")


def contained(
    work: Callable[[], Result], otherwise: Callable[[str], Result], folder: Path | None = None
) -> Result:
    """Return what `work` returns, or what `otherwise` makes of the reason why it does not.

    Args:
        work: What may fail. A `LabError` of it is its own reason, any other exception is a defect.
        otherwise: Makes the result from the reason, a sentence.
        folder: Where the traceback of a defect is written; None: nowhere.

    Raises:
        DiskError: Nothing more can be written, so that there is no use in going on.
    """
    try:
        return work()
    except DiskError:
        raise
    except LabError as error:
        return otherwise(" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 (the one place where defects end)
        return otherwise(describe(error, folder))


def describe(error: BaseException, folder: Path | None = None) -> str:
    """Return the sentence about a defect, and write its traceback into `folder`."""
    LOGGER.error("A defect of the lab", exc_info=error)
    sentence = f"A defect of the lab: {type(error).__name__}{_place(error)}."
    if folder is not None:
        with contextlib.suppress(OSError, ResultsError):  # the sentence is true without the file
            text = "".join(traceback.format_exception(error))
            files.replace(folder / FILE, text.encode(errors="backslashreplace"), folder.parent)
            return f"{sentence} Its traceback is in {FILE}; please report it."
    return sentence


def last_words(error: Exception) -> str:
    """Return the sentence with which a command ends that a defect or a full disk has ended."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f" ({error.filename})" if error.filename else ""
        return f"A disk is full{where}. What was finished is intact; free some space, and go on."
    folder = None
    with contextlib.suppress(OSError):  # there may be no place for a file
        folder = Path(tempfile.mkdtemp(prefix="lab-defect-"))
    sentence = describe(error, folder)
    return f"{sentence} Its folder: {folder}" if folder else sentence


def _place(error: BaseException) -> str:
    """Return the innermost line of the lab's sources that the exception passed."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = ((Path(frame.filename), frame.lineno) for frame in frames)
    ours = (f for f in places if f[0].is_relative_to(SOURCES / "lab"))
    file, line = next(ours, (None, None))
    return f" at {file.relative_to(SOURCES)} line {line}" if file else ""
