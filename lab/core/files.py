"""Reads and writes files of a run folder safely, whatever the folder contains.

Symbolic links, FIFOs, devices, folders in place of files, and files above the size limit of their
kind are refused before they are opened or read. Nothing outside the folder is read or overwritten.
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
# Limits of file sizes in bytes, by suffix: 3 to 100 times the sizes in the largest run that was
# tried (ten million tasks).
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
STEP = "Finished results are intact; continue with `lab bench --resume RUN`"
REPEAT = "Then type the same command again"


@contextmanager
def sentences(path: Path, step: str = STEP) -> Iterator[None]:
    """Turn an `OSError` about a file, or a lack of memory, into one sentence that ends in `step`.

    Raises:
        ResultsError: Replaces the error; it is a `DiskError` if the disk is full or broken.
    """
    try:
        yield
    except MemoryError as error:
        raise ResultsError(
            f"{path} needs more memory than is free. The file may be intact: end other programs, "
            "or read it on a machine with more memory."
        ) from error
    except OSError as error:
        problem = error.strerror or str(error)
        if error.errno in FULL:
            folder = next(above for above in (path, *path.parents) if above.is_dir())
            problem = f"the disk or its quota is full. Free some space in {folder}"
        kind = DiskError if error.errno in (*FULL, *BROKEN) else ResultsError
        raise kind(f"{path}: {problem}. {step}.") from error


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a sentence about a folder of temporary files.

    Raises:
        DiskError: Replaces that error; other errors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskError(
            f"{folder}: the disk of temporary files or its quota is full. Free some space there, "
            f"or set TMPDIR to another folder. {REPEAT}."
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
                f"{path} has {size:,} bytes, more than the limit of {limit:,} for its kind: "
                "restore it from a copy."
            )
        return file.read(size)


def read_json(path: Path, root: Path) -> Any:
    """Return the value in a JSON file below `root`.

    Raises:
        OSError: It cannot be opened or read.
        ResultsError: It is of another kind, too large, or outside `root`.
        ValueError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read(path, root))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def tail(path: Path, root: Path) -> str:
    """Return the last `TAIL` bytes of a text file below `root`, whatever its size.

    Raises:
        OSError: It cannot be opened or read.
        ResultsError: It is not a regular file, or is outside `root`.
    """
    with opened(path, root) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return file.read(TAIL).decode(errors="replace")


def opened(path: Path, root: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a regular file below `root` as `open_regular` does, and return it as a binary file."""
    mode = "rb" if flags == os.O_RDONLY else "wb"
    return cast("BinaryIO", open(open_regular(path, root, flags), mode))


def is_there(path: Path) -> bool:
    """Return whether anything exists at `path`, including a dangling link."""
    return os.path.lexists(path)


def open_regular(path: Path, root: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file below `root` and return its descriptor.

    Args:
        path: The file.
        root: A folder above it, whose own path may contain links.
        flags: Flags of `os.open`. Links are never followed, and a FIFO never blocks.

    Raises:
        OSError: It cannot be opened.
        ResultsError: It is of another kind or outside `root`, or has hard links and is to be
            written.
    """
    require_inside(path, root)
    quiet = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags | quiet, 0o644)
    except OSError as error:
        # A link; a socket or a FIFO without a reader; a folder opened for writing.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise ResultsError(_not_regular(path, path.lstat().st_mode)) from error
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise ResultsError(_not_regular(path, facts.st_mode))
    if flags != os.O_RDONLY and facts.st_nlink > 1:
        os.close(descriptor)
        raise ResultsError(
            f"{path} has {facts.st_nlink} names (hard links), and a write would change all: "
            "replace it by a copy."
        )
    return descriptor


def require_inside(path: Path, root: Path) -> None:
    """Refuse a path outside `root`, or with a symbolic link among its folders below `root`.

    Raises:
        ResultsError: The path is one of these.
    """
    here, folder = path.absolute(), root.absolute()  # one may be relative, and the other not
    below = here.relative_to(folder) if here.is_relative_to(folder) else Path("..")
    if ".." in below.parts:
        raise ResultsError(f"{path} is not inside {root}.")
    for part in below.parts[:-1]:
        folder /= part
        if folder.is_symlink():
            raise ResultsError(
                f"{folder} is a symbolic link, and the lab follows no links in a run: "
                "replace it by a folder."
            )


def _not_regular(path: Path, mode: int) -> str:
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), "not a file")
    return (
        f"{path} is {kind}, and the lab opens only regular files in a run: "
        "remove it, or replace it by the file itself."
    )


def replace(path: Path, data: bytes, root: Path) -> None:
    """Replace a file below `root` atomically: a reader finds the whole old or the whole new file.

    A link at `path` is replaced itself; its target does not change.

    Raises:
        OSError: The disk is full, or the file cannot be written.
        ResultsError: It is outside `root`, or `path` is a folder.
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
    """Replace a file like `replace`, with an error message that ends in the next step, `step`.

    Raises:
        ResultsError: The disk is full, the file cannot be written or is outside `root`, or `path`
            is a folder.
    """
    with sentences(path, step):
        replace(path, data, root)


def sync_folder(folder: Path) -> None:
    """Write the directory entries of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
