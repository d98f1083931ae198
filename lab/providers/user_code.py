"""Packs the user's module or package into a tar archive for the containers, and unpacks results."""

from __future__ import annotations

import importlib.util
import io
import sys
import tarfile
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

import lab
import workloads
from lab.core.errors import ClusterError
from lab.host import child_environment
from lab.worker import user_function

MOST_BYTES = 32 * 2**20
# Packages that are in every image.
THERE = {lab.__name__, workloads.__name__}


def pack(workload: str) -> bytes:
    """Return a tar archive with the module of a user's function, or with its top-level package.

    Other packages that it imports must be in the image. The standard library is not packed.

    Raises:
        ClusterError: The module cannot be found, or the archive is larger than `MOST_BYTES`.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for package in sorted(user_function.packages(workload)):
            for file, name in _files(package):
                archive.add(file, name)
    if packed.tell() > MOST_BYTES:
        raise ClusterError(
            f"{workload}: its package is larger than {MOST_BYTES // 2**20} MiB, the limit of what "
            "is copied into each container. Move the function into a smaller package or module."
        )
    return packed.getvalue()


def require_packable(workload: str) -> None:
    """Check that `pack` can pack the function of a user's workload.

    Raises:
        ClusterError: It cannot; the message has the next step.
    """
    pack(workload)


def _files(package: str) -> Iterator[tuple[Path, str]]:
    users = [str(folder) for folder in child_environment.users_folders()]
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


def unpack(packed: bytes, folder: Path) -> None:
    """Write the plain files of a gzipped tar archive below `folder`; skip all other members."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and ".." not in path.parts and not path.is_absolute():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
