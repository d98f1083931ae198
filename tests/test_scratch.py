"""What a system leaves among a trial's temporary files goes with it, or at the next start."""

from __future__ import annotations

from pathlib import Path

from lab import processes
from lab.clusters import scratch
from tests.trials import run, spec_of


def test_only_folders_of_dead_labs_are_removed(temporary: Path) -> None:
    """A living lab's stay, and everything that is not a lab's at all."""
    mine, dead, older = scratch.make(), scratch.make(), scratch.make()
    (dead / scratch.OWNER).write_text(f"{processes.realm()}:999999999:1.00")
    (dead / "pymp-1").mkdir()
    (older / scratch.OWNER).write_text("another-boot/1:1:1.00")
    (temporary / "lab-of-theirs").mkdir()
    assert scratch.remove_dead() == 2
    assert {path.name for path in temporary.iterdir()} == {mine.name, "lab-of-theirs"}
    scratch.remove(mine)


def test_a_pools_sockets_go_with_their_trial(tmp_path: Path, temporary: Path) -> None:
    """A fork server keeps its socket in a folder, which a driver that ends at once leaves there."""
    assert run(tmp_path, spec_of("multiprocessing[forkserver]")).row.status == "ok"
    assert list(temporary.iterdir()) == []
