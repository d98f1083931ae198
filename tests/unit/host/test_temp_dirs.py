"""Tests that temporary folders are removed after a trial, or by the next lab process."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lab.host import processes, temp_dirs
from tests.factories.trials import run, spec_of


def belongs_to(folder: Path, owner: str) -> None:
    """Replace the owner of a folder."""
    (folder / temp_dirs.OWNER).unlink()
    (folder / temp_dirs.OWNER).symlink_to(owner)


def test_only_folders_of_dead_labs_are_removed(temporary: Path) -> None:
    """Folders of running lab processes and folders without an owner remain."""
    alive, dead, older = temp_dirs.make(), temp_dirs.make(), temp_dirs.make()
    belongs_to(dead, f"{processes.realm()}:999999999:1.00")
    (dead / "pymp-1").mkdir()
    belongs_to(older, "another-boot/1:1:1.00")
    (temporary / "lab-of-theirs").mkdir()
    assert temp_dirs.remove_dead() == 2
    assert {path.name for path in temporary.iterdir()} == {alive.name, "lab-of-theirs"}
    temp_dirs.remove(alive)


def test_sockets_of_a_pool_are_removed_with_their_trial(tmp_path: Path, temporary: Path) -> None:
    """A fork server has a socket in a folder, which remains if the driver exits at once."""
    assert run(tmp_path, spec_of("multiprocessing[forkserver]")).row.status == "ok"
    assert list(temporary.iterdir()) == []


def test_a_file_in_place_of_the_owner_link_is_never_opened(temporary: Path) -> None:
    """Reading a pipe would hang, and reading a huge file would fill the memory."""
    pipe, file = (temporary / f"lab-{name}" for name in ("pipe", "file"))
    for folder in (pipe, file):
        folder.mkdir()
    os.mkfifo(pipe / temp_dirs.OWNER)
    with (file / temp_dirs.OWNER).open("wb") as sparse:
        sparse.truncate(40_000_000_000)
    (temporary / "lab-link").symlink_to(temp_dirs.make())
    assert temp_dirs.remove_dead() == 0
    assert len(list(temporary.iterdir())) == 4


def test_an_old_empty_folder_without_an_owner_is_removed(temporary: Path) -> None:
    """A younger one may belong to a lab process that has not created the link yet."""
    for name, age_s in (("lab-new", 0.0), ("lab-old", 90.0), ("lab-full", 90.0)):
        folder = temporary / name
        folder.mkdir()
        if name == "lab-full":
            (folder / "theirs").touch()
        os.utime(folder, (time.time() - age_s,) * 2)
    assert temp_dirs.remove_dead() == 1
    assert {path.name for path in temporary.iterdir()} == {"lab-new", "lab-full"}
