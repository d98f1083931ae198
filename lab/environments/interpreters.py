"""Finds interpreters of Python on this machine, and identifies their builds."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from lab.core.errors import LabError, UsageError
from lab.host import programs

DEADLINE_S = 30.0
# The executable without a virtual environment, and the build of the interpreter.
IDENTITY = """
import sys, sysconfig
print(getattr(sys, "_base_executable", sys.executable))
print(sys.version, sys.implementation.name, sysconfig.get_config_var("SOABI"))
"""


def find(version: str) -> Path:
    """Return the executable of a version, such as ``3.13`` or ``3.14t``; empty: that of the lab.

    Raises:
        UsageError: There is none on this machine.
    """
    if not version:
        return Path(sys.executable)
    raise UsageError(f"--python {version}: the lab has no such interpreter. Leave --python out.")


@functools.cache
def identity(executable: Path) -> tuple[Path, str]:
    """Return the executable outside virtual environments, and a text that identifies its build.

    Raises:
        LabError: It cannot be started.
    """
    output = programs.output_of([str(executable), "-I", "-c", IDENTITY], DEADLINE_S)
    base, _, build = output.strip().partition("\n")
    if not build:
        raise LabError(f"{executable} is not an interpreter of Python: it printed {output!r}.")
    return Path(base).resolve(), build
