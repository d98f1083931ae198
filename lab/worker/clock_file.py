"""Writes the file that libfaketime reads in processes whose wall clock a fault can step."""

from __future__ import annotations

import os
from pathlib import Path

# Of libfaketime, see `lab.host.faked_clock`.
FAKED = "FAKETIME_TIMESTAMP_FILE"


def set_step(file: Path, step_s: float) -> None:
    """Step the wall clock of the processes that follow `file`; 0: the clock is true."""
    written = file.with_name(f"{file.name}.new")
    written.write_text(f"{step_s:+.6f}\n", encoding="ascii")
    # A reader would take half a file for another step.
    written.replace(file)


def require(file: Path) -> None:
    """Write a file with a true clock, unless there is one.

    Without it, libfaketime may end a process whose threads read the clock at the same time (its
    pull request 547): 4 of 8 programs with eight threads, each within 3 s; with it, none of 8.
    """
    if not file.exists():
        set_step(file, 0.0)


def require_of_process() -> None:
    """Write the file that this process and its children follow, if they follow one."""
    if name := os.environ.get(FAKED):
        require(Path(name))
