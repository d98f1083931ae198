"""Reads and writes the files of a run that anybody may have filled: by kind, size and place.

A symbolic link, a FIFO, a device, a folder in place of a file, and a file larger than its kind may
be are refused before they are opened or read; nothing outside the folder is read or overwritten.
A file with hard links may be read and replaced, but not written in place.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lab.core.errors import DiskError, ResultsError

MIB = 1 << 20
# Bytes that a file may have, by its ending. The largest run that the lab was tried with (ten
# million tasks) has a hundredth to a third of them.
LIMITS: Mapping[str, int] = {
    ".csv": 512 * MIB,
    ".parquet": 2_048 * MIB,
    ".json": 64 * MIB,
    ".bin": 2_048 * MIB,
    ".html": 512 * MIB,
    ".svg": 64 * MIB,
    ".png": 64 * MIB,
}
OTHER_LIMIT = MIB
TAIL = 64 * 1024
KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
BROKEN = (errno.EACCES, errno.EROFS, errno.EIO)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STEP = "What was finished is intact; continue with `lab bench --resume`"
REPEAT = "Then type the same command again"


@contextmanager
def sentences(path: Path, step: str = STEP) -> Iterator[None]:
    """Turn an `OSError` about a file, and a lack of memory, into one sentence; `step` ends it.

    Raises:
        ResultsError: Instead of the error.
    """
    try:
        yield
    except MemoryError as error:
        raise ResultsError(
            f"{path} takes more memory than is free. The file may be sound: end other programs, "
            "or read it on a machine with more memory."
        ) from error
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno in FULL:
            folder = next(one for one in (path, *path.parents) if one.is_dir())
            what = f"the disk or its quota is full. Free some space in {folder}"
        kind = DiskError if error.errno in (*FULL, *BROKEN) else ResultsError
        raise kind(f"{path}: {what}. {step}.") from error


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a sentence that names a folder of temporary files.

    Raises:
        DiskError: Instead of the error; any other one passes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskError(
            f"{folder}: the disk of temporary files or its quota is full. Free some space there, "
            f"or name another folder in TMPDIR. {REPEAT}."
        ) from error


def read(path: Path, root: Path) -> bytes:
    """Return the content of a regular file below `root`.

    Raises:
        OSError: It cannot be opened or read.
        ResultsError: It is of another kind, too large, or outside `root`.
    """
    with opened(path, root) as file:
        size, limit = os.fstat(file.fileno()).st_size, LIMITS.get(path.suffix, OTHER_LIMIT)
        if size > limit:
            raise ResultsError(
                f"{path} has {size:,} bytes, and a file of its kind at most {limit:,}: restore it "
                "from a copy."
            )
        return file.read(size)


def read_json(path: Path, root: Path) -> Any:
    """Return what a JSON file below `root` holds.

    Raises:
        OSError: It cannot be opened or read.
        ResultsError: It is of another kind, too large, or outside `root`.
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return json.loads(read(path, root))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def tail(path: Path, root: Path) -> str:
    """Return the last `TAIL` bytes of a text file below `root`, whatever its size.

    Raises:
        OSError: It cannot be opened or read.
        ResultsError: It is no regular file, or outside `root`.
    """
    with opened(path, root) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return file.read(TAIL).decode(errors="replace")


def opened(path: Path, root: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a regular file below `root` as `open_regular` does, and return it as a binary file."""
    mode = "rb" if flags == os.O_RDONLY else "wb"
    return cast("BinaryIO", open(open_regular(path, root, flags), mode))


def is_there(path: Path) -> bool:
    """Tell whether anything lies at `path`, a link that leads nowhere included."""
    return os.path.lexists(path)


def is_regular(path: Path) -> bool:
    """Tell whether a regular file, and no link to one, lies at `path`."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def open_regular(path: Path, root: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file below `root` and return its descriptor.

    Args:
        path: The file.
        root: A folder above it, which may itself be reached by links.
        flags: Those of `os.open`; neither a link nor a FIFO is ever followed or waited for.

    Raises:
        OSError: It cannot be opened.
        ResultsError: It is of another kind, outside `root`, or to be written and has hard links.
    """
    require_inside(path, root)
    quiet = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags | quiet, 0o644)
    except OSError as error:
        # A link, a socket, a FIFO without a reader, a folder to be written to.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise ResultsError(_not_regular(path, path.lstat().st_mode)) from error
        raise
    seen = os.fstat(descriptor)
    if not stat.S_ISREG(seen.st_mode):
        os.close(descriptor)
        raise ResultsError(_not_regular(path, seen.st_mode))
    if flags != os.O_RDONLY and seen.st_nlink > 1:
        os.close(descriptor)
        raise ResultsError(
            f"{path} has {seen.st_nlink} names (hard links), and writing it would change all of "
            "them: put a copy in its place."
        )
    return descriptor


def require_inside(path: Path, root: Path) -> None:
    """Refuse a path that leaves `root`, or of which a folder below `root` is a link.

    Raises:
        ResultsError: It does.
    """
    here, folder = path.absolute(), root.absolute()  # one may be relative, and the other not
    below = here.relative_to(folder) if here.is_relative_to(folder) else Path("..")
    if ".." in below.parts:
        raise ResultsError(f"{path} is not inside {root}.")
    for part in below.parts[:-1]:
        folder /= part
        if folder.is_symlink():
            raise ResultsError(
                f"{folder} is a symbolic link, and the lab follows none in a run: "
                "put a folder in its place."
            )


def _not_regular(path: Path, mode: int) -> str:
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), "no file")
    return (
        f"{path} is {kind}, and the lab opens only regular files in a run: "
        "remove it, or put the file itself in its place."
    )


def replace(path: Path, data: bytes, root: Path) -> None:
    """Put `data` in the place of a file below `root`: the old one or the new one is there, whole.

    A link in its place is replaced, and what it leads to stays as it is.

    Raises:
        OSError: The disk is full, or the file cannot be written.
        ResultsError: It is outside `root`, or a folder is in its place.
    """
    require_inside(path, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    try:
        with open(open_regular(new, root, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put(path: Path, data: bytes, root: Path, step: str = REPEAT) -> None:
    """Do as `replace` does; `step` is the next step that the sentence about an error ends with.

    Raises:
        ResultsError: The disk is full, the file cannot be written, is outside `root`, or a folder
            is in its place.
    """
    with sentences(path, step):
        replace(path, data, root)


def sync_folder(folder: Path) -> None:
    """See the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
