"""Finds interpreters of Python on this machine, and identifies their builds."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from lab.core.errors import LabError, UsageError
from lab.environments import remembered
from lab.host import programs
from lab.host.child_environment import APPLICATION

DEADLINE_S = 60.0
# The executable without a virtual environment, its version, and the build of the interpreter.
IDENTITY = """
import platform, sys, sysconfig
t = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(getattr(sys, "_base_executable", sys.executable))
print(platform.python_version() + t)
print(sys.version, sys.implementation.name, sysconfig.get_config_var("SOABI"))
"""
# Folders of pyenv and uv, each with a folder for every version that they have installed.
PYENV, OF_UV = Path(".pyenv") / "versions", "uv"
OLDEST = [3, 11]
PROGRAM = re.compile(r"python(\d+\.\d+t?)")


def find(version: str) -> Path:
    """Return the executable of a version, such as ``3.13`` or ``3.14t``; empty: that of the lab.

    The first on the path that has the version, then one that pyenv or uv has installed.

    Raises:
        UsageError: There is none on this machine, or it is too old.
    """
    if not version:
        return Path(sys.executable)
    if _order(version)[:2] < OLDEST:
        raise UsageError(f"--python {version}: the lab needs Python 3.11 or newer.")
    wanted = version.removesuffix("t").split(".")
    suffix = "t" if version.endswith("t") else ""
    name = f"python{'.'.join(wanted[:2])}{suffix}"
    problem = ""
    for executable in (folder / name for folder in _folders()):
        if not executable.exists():
            continue
        try:
            if _has_version(executable, wanted, suffix):
                return executable
        except LabError as error:  # such as pyenv's stand-in for a version that is not active
            problem = f" ({error})"
    named = {match[1] for match in map(PROGRAM.fullmatch, _names()) if match}
    others = sorted((text for text in named if _order(text) >= OLDEST), key=_order)
    raise UsageError(
        f"--python {version}: this machine has no such interpreter{problem}. It has "
        f"{', '.join(others)}. Run: uv python install {version}"
    )


def _has_version(executable: Path, wanted: list[str], suffix: str) -> bool:
    version = _about(executable)[1]
    numbers = version.removesuffix("t").split(".")
    return numbers[: len(wanted)] == wanted and version.endswith("t") == bool(suffix)


def _folders() -> Iterator[Path]:
    """Yield the folders of the path, then those of pyenv and uv, the newest version first."""
    yield from (Path(folder) for folder in os.get_exec_path() if folder)
    uvs = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or platformdirs.user_data_path(OF_UV))
    for root in (Path.home() / PYENV, uvs / "python"):
        yield from sorted(root.glob("*/bin"), key=lambda path: _order(str(path)), reverse=True)


def _names() -> Iterator[str]:
    """Yield the names of the programs in these folders, without pyenv's stand-ins."""
    for folder in _folders():
        if folder.is_dir() and folder.name != "shims":
            yield from (path.name for path in folder.iterdir())


def _order(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def identity(executable: Path) -> tuple[Path, str]:
    """Return the executable outside virtual environments, and a text that identifies its build.

    Raises:
        LabError: It cannot be started.
    """
    base, _, build = _about(executable)
    return Path(base).resolve(), build


@functools.cache
def _about(executable: Path) -> tuple[str, str, str]:
    """Return the executable outside virtual environments, its version, and its build."""
    name = hashlib.sha256(str(executable).encode()).hexdigest()[:12]
    file = platformdirs.user_cache_path(APPLICATION) / "interpreters" / f"{name}.json"
    if known := remembered.recall(file):
        base, version, build = known
        return str(base), str(version), str(build)
    output = programs.output_of([str(executable), "-I", "-c", IDENTITY], DEADLINE_S)
    match output.strip().split("\n", 2):
        case [base, version, build]:
            # A script, such as pyenv's, may start another interpreter the next time.
            if executable.resolve() == Path(base).resolve():
                remembered.keep(file, [base, version, build], [executable])
            return base, version, build
    raise LabError(f"{executable} is not an interpreter of Python: it printed {output!r}.")
