"""Locks a run while a lab writes it: one lab at a time writes a run, others may read it.

The kernel releases the lock when the process ends, so a kill leaves no lock behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.core import files
from lab.core.errors import ResultsError

FILE = "lock"


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Lock a run until the end of the block; its folder is created if it is missing.

    Raises:
        ResultsError: Another lab writes the run, or the lock cannot be written.
    """
    path = run / FILE
    with files.sentences(path):
        run.mkdir(parents=True, exist_ok=True)
        file = files.opened(path, run, os.O_WRONLY | os.O_CREAT)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResultsError(
                f"Another lab is writing {run}. Wait until it ends, or stop it."
            ) from error
        yield


def is_locked(run: Path) -> bool:
    """Return whether a lab writes a run at present: this one, or another one of this machine.

    Raises:
        ResultsError: The lock cannot be read.
    """
    path = run / FILE
    if not files.is_there(path):
        return False
    with files.sentences(path), files.opened(path, run) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
