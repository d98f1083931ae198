"""Copies files into a running container and out of it, as tar archives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from lab.providers import container_process
from lab.providers.engine import engine

# Of the user `lab` in compose/Dockerfile.
USER_ID = 10_001
# tar exits with 1 if a file changed while it was read, as a backend's database may.
PACK = "tar -C {folder} --exclude=./{excluded} -czf - . || test $? = 1"


def put(
    container: str,
    target: str,
    files: Mapping[str, bytes],
    folders: Sequence[str] = (),
    address: str = "",
) -> None:
    """Write files and create folders below the folder `target` of a container.

    The folders of a file need not exist. The container is of the engine at `address`.

    Raises:
        ClusterError: The container has ended, or `target` is missing.
    """
    with engine(address) as client:
        client.api.put_archive(container, target, _archive(files, folders))


def _archive(files: Mapping[str, bytes], folders: Sequence[str]) -> bytes:
    parents = [*map(PurePosixPath, folders)]
    parents += [parent for name in files for parent in reversed(PurePosixPath(name).parents)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        # The engine creates missing folders for root, where the user `lab` could not write.
        for folder in dict.fromkeys(map(str, parents)):
            if folder != ".":
                archive.addfile(_member(folder, tarfile.DIRTYPE, 0o755))
        for name, content in files.items():
            member = _member(name, tarfile.REGTYPE, 0o644)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    member.uid = member.gid = USER_ID
    return member


def get(container: str, folder: str, excluded: str) -> bytes:
    """Return a folder of a container as a gzipped tar archive, without `excluded` in it.

    A program in the container packs it: the engine would report an error for a file that changes.

    Raises:
        ClusterError: The container has ended, or the folder cannot be packed.
    """
    command = PACK.format(folder=folder, excluded=excluded)
    return container_process.run(container, "sh", "-c", command)


def unpack(packed: bytes, folder: Path) -> None:
    """Write the plain files of a gzipped tar archive below `folder`; skip all other members."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            # Tasks write into this folder: a link or a path upwards could reach other files here.
            path = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and ".." not in path.parts and not path.is_absolute():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
