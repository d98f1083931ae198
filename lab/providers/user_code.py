"""Finds the files of a user's module or package, which are copied into the containers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import lab
import workloads
from lab.core.errors import ClusterError
from lab.host import child_environment
from lab.worker import user_function

MOST_BYTES = 32 * 2**20
# Packages that are in every image.
THERE = {lab.__name__, workloads.__name__}


def pack(workload: str) -> dict[str, bytes]:
    """Return the files of a user's module or top-level package, by their path in a container.

    Other packages that it imports must be in the image. The standard library is not packed.

    Raises:
        ClusterError: The module cannot be found, or the files are larger than `MOST_BYTES`.
    """
    files = {
        name: file.read_bytes()
        for package in sorted(user_function.packages(workload))
        for file, name in _files(package)
    }
    if sum(map(len, files.values())) > MOST_BYTES:
        raise ClusterError(
            f"{workload}: its package is larger than {MOST_BYTES // 2**20} MiB, the limit of what "
            "is copied into each container. Move the function into a smaller package or module."
        )
    return files


def require_packable(workload: str) -> None:
    """Check that `pack` can pack the function of a user's workload.

    Raises:
        ClusterError: It cannot; the message has the next step.
    """
    pack(workload)


def _files(package: str) -> Iterator[tuple[Path, str]]:
    users = [str(folder) for folder in child_environment.users_folders()]
    # The folders of the user come last, as on the import path of a trial.
    spec = importlib.util.find_spec(package) or PathFinder.find_spec(package, users)
    if package in THERE or package in sys.stdlib_module_names:
        return
    if spec is None:
        raise ClusterError(f"{package} cannot be imported from {Path.cwd()}.")
    for folder in map(Path, spec.submodule_search_locations or ()):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file, f"{package}/{file.relative_to(folder).as_posix()}"
        return
    if spec.origin:
        yield Path(spec.origin), Path(spec.origin).name
