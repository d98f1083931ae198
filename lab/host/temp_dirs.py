"""Creates temporary folders that belong to a lab process, and removes them with their contents.

Backends create files there and do not remove them when they are killed: sockets (pools) and empty
folders (Dask workers). The target of a symbolic link in each folder is the identifier of its lab
process: a link is created atomically, and reading it opens no file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lab.core import files
from lab.core.errors import DiskError
from lab.host import processes

VARIABLE = "TMPDIR"
# The path of a socket has at most some 100 characters, and that of a trial's folder is longer.
PREFIX = "lab-"
# The longest path of the parent folder: pools add some 45 characters, and macOS allows 104.
LONGEST = 50
SHORT = ("/tmp", "/var/tmp")  # noqa: S108 (mkdtemp makes a folder of mode 0700 there)
OWNER = "owner"
# A younger folder without an owner may be one whose link is not created yet.
YOUNG_S = 60.0


def make() -> Path:
    """Create a folder that belongs to this lab process."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_parents()[0]))
    (folder / OWNER).symlink_to(processes.owner())
    return folder


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Create a folder, and remove it after the block.

    Raises:
        DiskError: The disk of temporary folders is full.
    """
    with files.full_disk(_parents()[0]):
        path = make()
        try:
            yield path
        finally:
            remove(path)


def remove(folder: Path) -> None:
    """Remove a folder and its contents."""
    shutil.rmtree(folder, ignore_errors=True)  # an ending process may remove the same files


def remove_dead() -> int:
    """Remove the folders of lab processes that have ended, and return their number.

    This includes folders from before the last boot.
    """
    removed = 0
    for path in (path for parent in _parents() for path in parent.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):  # another process has removed it
            info = path.lstat()
            if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid():
                removed += _remove_if_dead(path, time.time() - info.st_mtime)
    return removed


def _parents() -> list[Path]:
    """Return the folders in which temporary folders may be; the first is for new ones.

    It is the user's folder for temporary files. If its path is too long for sockets, the writable
    folders of `SHORT` come first.

    Raises:
        DiskError: No folder for temporary files is writable.
    """
    try:
        wanted = Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # its message lists the folders that it tried
        raise DiskError(
            f"{error.strerror}: free some space in one of them, or set TMPDIR to another folder."
        ) from error
    if len(os.fsencode(wanted)) <= LONGEST:
        return [wanted]
    return [*(Path(short) for short in SHORT if os.access(short, os.W_OK | os.X_OK)), wanted]


def _remove_if_dead(folder: Path, age_s: float) -> bool:
    try:
        owner = str((folder / OWNER).readlink())
    except FileNotFoundError:
        if age_s > YOUNG_S:
            folder.rmdir()  # a kill before the link leaves it empty; others are not the lab's
            return True
        return False
    boot = processes.realm().partition("/")[0]
    if is_dead := owner.partition("/")[0] != boot or not processes.is_alive(owner):
        remove(folder)
    return is_dead
