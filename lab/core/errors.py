"""Defines the lab's exit codes and errors: one root, caught once in `cli`, each with its exit code.

A message is one or two sentences: what is wrong, the value and the next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum

from lab.core.installing import install_command


class ExitCode(IntEnum):
    """The exit code of a command."""

    FINE = 0
    TRIAL_FAILED = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    WORSE = 4
    MACHINE_FAILED = 5
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 fine, 1 a trial failed, 2 usage, 3 nothing selected, 4 compare found something "
    "worse, 5 the machine or engine failed or most trials were disturbed, 130 interrupted."
)


class LabError(Exception):
    """A problem that the reader of the message can fix."""

    exit_code = ExitCode.MACHINE_FAILED


class UsageError(LabError):
    """The command line, or a file that it names, is not valid."""

    exit_code = ExitCode.USAGE


class NothingSelectedError(LabError):
    """The selection is valid but empty."""

    exit_code = ExitCode.NOTHING_SELECTED


class UnknownNameError(UsageError):
    """A name that is in no registry.

    Args:
        kind: The kind of name, for instance ``"backend"``.
        name: The name as typed.
        known: All valid names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3)
        # A short name is the beginning of a label, which is too long to be similar to it.
        close = close or [
            label for label in names if difflib.get_close_matches(name, [label.partition("[")[0]])
        ]
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        super().__init__(f"Unknown {kind} {name!r}. {hint}Known: {', '.join(names)}.")


class MissingExtraError(UsageError):
    """A backend whose packages are not installed."""

    def __init__(self, backend: str, package: str, extra: str) -> None:
        command = install_command(extra) if extra else f"python -m pip install {package}"
        super().__init__(
            f"Backend {backend!r} needs the package {package!r}, which is not installed. "
            f"Run: {command}"
        )


class ResultsError(LabError):
    """A results file cannot be read or written; it was not changed."""

    exit_code = ExitCode.USAGE


class DiskError(ResultsError):
    """The disk of the results is full, or cannot be read or written."""

    exit_code = ExitCode.MACHINE_FAILED


class ClusterError(LabError):
    """A cluster could not be started, or it died; a trial records this in its row."""
