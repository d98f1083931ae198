"""The temporary folder of a trial of plain processes: what a system leaves there goes with it.

Pools keep their sockets there, and Dask's workers an empty folder each; who is killed removes none
of it. A file in each says which lab it belongs to, so that the next start removes what is left.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lab import processes

VARIABLE = "TMPDIR"
# Short, for the path of a socket may have a hundred characters; a trial's folder has more.
PREFIX = "lab-"
OWNER = "owner"


def make() -> Path:
    """Make a folder that belongs to this lab process."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    (folder / OWNER).write_text(processes.owner(), encoding="utf-8")
    return folder


def remove(folder: Path) -> None:
    """Remove a folder and whatever was left in it."""
    shutil.rmtree(folder, ignore_errors=True)  # who is just ending may be removing the same


def remove_dead() -> int:
    """Remove the folders of labs that are gone, those of living ones stay; return how many.

    Folders outlive a boot, so what another boot left is dead as well.
    """
    boot, removed = processes.realm().partition("/")[0], 0
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}"):
        if os.access(file, os.W_OK) and file.is_file():  # else another user's
            owner = file.read_text(encoding="utf-8", errors="replace")
            if owner.partition("/")[0] != boot or not processes.is_alive(owner):
                remove(file.parent)
                removed += 1
    return removed
