"""What a system leaves among a trial's temporary files goes with it, or at the next start."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lab.host import processes, temp_dirs
from tests.factories.trials import run, spec_of


def belongs_to(folder: Path, owner: str) -> None:
    """Put another owner's name into a folder."""
    (folder / temp_dirs.OWNER).unlink()
    (folder / temp_dirs.OWNER).symlink_to(owner)


def test_only_folders_of_dead_labs_are_removed(temporary: Path) -> None:
    """A living lab's stay, and everything that is not a lab's at all."""
    mine, dead, older = temp_dirs.make(), temp_dirs.make(), temp_dirs.make()
    belongs_to(dead, f"{processes.realm()}:999999999:1.00")
    (dead / "pymp-1").mkdir()
    belongs_to(older, "another-boot/1:1:1.00")
    (temporary / "lab-of-theirs").mkdir()
    assert temp_dirs.remove_dead() == 2
    assert {path.name for path in temporary.iterdir()} == {mine.name, "lab-of-theirs"}
    temp_dirs.remove(mine)


def test_a_pools_sockets_go_with_their_trial(tmp_path: Path, temporary: Path) -> None:
    """A fork server keeps its socket in a folder, which a driver that ends at once leaves there."""
    assert run(tmp_path, spec_of("multiprocessing[forkserver]")).row.status == "ok"
    assert list(temporary.iterdir()) == []


def test_what_names_the_owner_is_never_opened(temporary: Path) -> None:
    """A pipe would hang, a file without end fill the memory: they stay, as whatever is not ours."""
    pipe, file = (temporary / f"lab-{name}" for name in ("pipe", "file"))
    for folder in (pipe, file):
        folder.mkdir()
    os.mkfifo(pipe / temp_dirs.OWNER)
    with (file / temp_dirs.OWNER).open("wb") as sparse:
        sparse.truncate(40_000_000_000)
    (temporary / "lab-link").symlink_to(temp_dirs.make())
    assert temp_dirs.remove_dead() == 0
    assert len(list(temporary.iterdir())) == 4


def test_a_kill_between_folder_and_owner_leaves_nothing_for_ever(temporary: Path) -> None:
    """A folder without an owner is one that is just being made, unless it is a minute old."""
    for name, age_s in (("lab-new", 0.0), ("lab-old", 90.0), ("lab-full", 90.0)):
        folder = temporary / name
        folder.mkdir()
        if name == "lab-full":
            (folder / "theirs").touch()
        os.utime(folder, (time.time() - age_s,) * 2)
    assert temp_dirs.remove_dead() == 1
    assert {path.name for path in temporary.iterdir()} == {"lab-new", "lab-full"}
