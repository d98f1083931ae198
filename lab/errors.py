"""The lab's exit codes and errors: one root, caught once in `cli`, each with its exit code.

A message is one or two sentences: it names the thing, the value and the next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    FINE = 0
    TRIAL_FAILED = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    WORSE = 4
    MACHINE_FAILED = 5
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 fine, 1 a trial failed, 2 usage, 3 nothing selected, 4 compare found something "
    "worse, 5 the machine or engine failed, 130 interrupted."
)


class LabError(Exception):
    """Something went wrong that the reader of the message can mend."""

    exit_code = ExitCode.MACHINE_FAILED


class UsageError(LabError):
    """The command line or a file it names cannot be understood."""

    exit_code = ExitCode.USAGE


class NothingSelectedError(LabError):
    """The selection is valid and empty."""

    exit_code = ExitCode.NOTHING_SELECTED


class UnknownNameError(UsageError):
    """A name that no registry entry carries.

    Args:
        kind: What was looked for, for instance ``"backend"``.
        name: The name as typed.
        known: Every name that would have been right.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        super().__init__(f"Unknown {kind} {name!r}. {hint}Known: {', '.join(names)}.")


class MissingExtraError(UsageError):
    """A backend whose packages are not installed."""

    def __init__(self, backend: str, package: str, extra: str) -> None:
        wanted = f"-e '.[{extra}]'" if extra else package
        super().__init__(
            f"Backend {backend!r} needs the package {package!r}, which is not installed. "
            f"Run: python -m pip install {wanted}"
        )


class ResultsError(LabError):
    """A results file that cannot be read or written; nothing in it was changed."""

    exit_code = ExitCode.USAGE


class DiskError(ResultsError):
    """The disk of the results is full, or cannot be read or written at all."""

    exit_code = ExitCode.MACHINE_FAILED


class ClusterError(LabError):
    """A topology that could not be brought up or died; in a trial, a row with its reason."""
