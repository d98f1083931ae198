"""Temporary folders that go with their lab: what somebody leaves there is removed with them.

Pools keep their sockets in their trial's, and Dask's workers an empty folder each; who is killed
removes none of it. A symbolic link in each folder, which points nowhere, names the lab it belongs
to: it exists whole or not at all, and reading it opens nothing.
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
# Short, for the path of a socket may have a hundred characters; a trial's folder has more.
PREFIX = "lab-"
# What stays for the folder that holds ours: pools add some 45 characters, macOS allows 104.
LONGEST = 50
SHORT = ("/tmp", "/var/tmp")  # noqa: S108 (a folder of our own is made there, for us alone)
OWNER = "owner"
# A folder without an owner is one that is just being made, unless it is older.
YOUNG_S = 60.0


def make() -> Path:
    """Make a folder that belongs to this lab process."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_parents()[0]))
    (folder / OWNER).symlink_to(processes.owner())
    return folder


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for as long as the block runs.

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
    """Remove a folder and whatever was left in it."""
    shutil.rmtree(folder, ignore_errors=True)  # who is just ending may be removing the same


def remove_dead() -> int:
    """Remove the folders of labs that are gone, those of living ones stay; return how many.

    Folders outlive a boot, so what another boot left is dead as well.
    """
    removed = 0
    for path in (path for parent in _parents() for path in parent.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):  # somebody else was faster
            about = path.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid():
                removed += _remove_if_dead(path, time.time() - about.st_mtime)
    return removed


def _parents() -> list[Path]:
    """Return where folders are made: where the user wants them, unless sockets have no room there.

    Then in the system's own, which comes first; the user's stays where neither can be written.

    Raises:
        DiskError: No folder for temporary files can be written.
    """
    try:
        wanted = Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # it tries to write into each; its words name them
        raise DiskError(
            f"{error.strerror}: free some space in one of them, or name another one in TMPDIR."
        ) from error
    if len(os.fsencode(wanted)) <= LONGEST:
        return [wanted]
    return [*(Path(short) for short in SHORT if os.access(short, os.W_OK | os.X_OK)), wanted]


def _remove_if_dead(folder: Path, age_s: float) -> bool:
    try:
        owner = str((folder / OWNER).readlink())
    except FileNotFoundError:
        if age_s > YOUNG_S:
            folder.rmdir()  # its lab was killed as it made it: it is empty, or it is not ours
            return True
        return False
    boot = processes.realm().partition("/")[0]
    if is_dead := owner.partition("/")[0] != boot or not processes.is_alive(owner):
        remove(folder)
    return is_dead
