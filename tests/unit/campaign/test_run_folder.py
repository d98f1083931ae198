"""Tests that a run is created completely or not at all, and that damaged runs are skipped."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from lab.campaign import run_folder
from lab.cli.main import main
from lab.core import files
from lab.core.errors import DiskError, ResultsError
from lab.host import environment
from lab.planning.plan import Plan
from lab.results.store import Store
from tests.factories import campaigns

RUN = run_folder.Run(Plan((), ()), "quick", 1, 1, "bench")
SMALL = campaigns.Campaign(
    blocks=1, systems=campaigns.SYSTEMS[:1], workloads=("noop",), cores=(1,), rates_hz=()
)


class Disk:
    """A disk with space for a number of further files."""

    def __init__(self, room: int) -> None:
        self.room = room

    def fsync(self, descriptor: int) -> None:
        """Raise as some file systems do when the disk is full: at the `fsync`, not at the write."""
        self.room -= Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".new"
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("room", range(3))
def test_a_full_disk_leaves_no_part_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """No folder remains, whichever file does not fit, and the same command works later."""
    monkeypatch.setattr(os, "fsync", Disk(room).fsync)
    with pytest.raises(
        DiskError, match=r"Free some space in .*repeat the command; no trial has run yet"
    ):
        run_folder.create(tmp_path, RUN)
    assert not list((tmp_path / "runs").iterdir())
    monkeypatch.undo()
    assert Store(run_folder.create(tmp_path, RUN).folder).campaign().preset == "quick"


def test_a_run_is_not_continued_with_other_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the facts that changed, before and after."""
    folder = run_folder.create(tmp_path, RUN).folder
    _, facts = environment.fingerprint()
    assert run_folder.load(folder)[0].folder == folder
    changed = [
        replace(fact, value="new") if fact.key == "packages.hash" else fact for fact in facts
    ]
    old = next(fact.value for fact in facts if fact.key == "packages.hash")
    monkeypatch.setattr(environment, "fingerprint", lambda _: ("f" * 16, changed))
    with pytest.raises(ResultsError, match=rf"\(packages.hash: {old} / new\), and their trials"):
        run_folder.load(folder)


def test_a_folder_of_another_lab_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that begin in the same second have the same name: the second is refused."""
    first = run_folder.create(tmp_path, RUN)
    monkeypatch.setattr(run_folder, "datetime", Clock(first.folder.name))
    with pytest.raises(Exception, match="File exists"):
        run_folder.create(tmp_path, RUN)
    assert first.campaign().preset == "quick"


class Clock:
    """A clock that returns the second in which a run began."""

    def __init__(self, run: str) -> None:
        self._run = run

    def now(self, zone: tzinfo) -> datetime:
        """Return that second."""
        return datetime.strptime(self._run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=zone)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a results folder with one intact run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    run = campaigns.write(campaigns.campaign(SMALL), tmp_path / "results" / "runs" / "a-sound")
    for trial in Store(run).read("trial").trial_id:
        Store(run).write_parquet(Store(run).trial_folder(trial, 1), "sample", [])
    (run / "plan.json").write_text("{}")
    return tmp_path / "results"


def replace_file(file: Path, put: Callable[[Path], object]) -> None:
    """Move a file to another name, and create something else at its path."""
    file.rename(file.with_name("moved"))
    put(file)


def twice(file: Path) -> None:
    """Repeat the only row of a table."""
    header, row = file.read_bytes().split(b"\n", 1)
    file.write_bytes(header + b"\n" + row + row)


DAMAGED: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "header only": lambda file: file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n"),
    "twice": twice,
    "bytes": lambda file: file.write_bytes(b"\x00\xff"),
    "folder": lambda file: replace_file(file, Path.mkdir),
    "fifo": lambda file: replace_file(file, os.mkfifo),
    "link": lambda file: replace_file(file, lambda path: path.symlink_to("moved")),
    "dangling": lambda file: replace_file(file, lambda path: path.symlink_to("nowhere")),
}


@pytest.mark.usefixtures("short_page")
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_run_is_reported_and_skipped(
    results: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that read all runs skip it; a command that names it fails."""
    broken = campaigns.write(campaigns.campaign(SMALL), results / "runs" / "b-damaged")
    (broken / "plan.json").write_text("{}")
    DAMAGED[damage](broken / "campaign.csv")
    for command, code in (
        (["report"], 0),
        (["publish"], 0),
        (["history"], 3),
        (["reproduce", "0" * 16], 2),
        (["compare", "--null"], 3),
    ):
        assert main(command) == code, command
        shown = " ".join(capsys.readouterr().err.split())
        assert "Left out: " in shown, command
        assert "b-damaged" in shown
    for command in (["report"], ["publish"], ["bench", "--resume"]):
        assert main([*command, str(broken)]) not in (0, 1), command
        shown = capsys.readouterr().err
        assert "Traceback" not in shown


@pytest.mark.parametrize("text", ["[" * 200_000, "[]", "", "\x00", '{"trials": 5}', "{}"])
def test_a_damaged_plan_is_skipped_unless_it_is_selected(
    results: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text is not a plan, or is nested too deeply."""
    run = results / "runs" / "a-sound"
    (run / "plan.json").write_text(text)
    assert main(["reproduce", "0" * 16]) == 2
    assert "Left out" in " ".join(capsys.readouterr().err.split())
    for command in (["reproduce", f"{run}/{'0' * 16}"], ["bench", "--resume", str(run)]):
        assert main(command) == 2
        assert "plan.json is damaged" in " ".join(capsys.readouterr().err.split())


def test_a_plan_that_is_a_folder_is_a_sentence(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is not opened."""
    (results / "runs" / "a-sound" / "plan.json").unlink()
    (results / "runs" / "a-sound" / "plan.json").mkdir()
    assert main(["bench", "--resume", str(results / "runs" / "a-sound")]) == 2
    assert "plan.json is a folder" in " ".join(capsys.readouterr().err.split())


def test_lack_of_memory_is_not_called_damage(tmp_path: Path) -> None:
    """The file may be intact, so the sentence has the next step for this machine."""
    with (
        pytest.raises(Exception, match="needs more memory than is free"),
        files.sentences(tmp_path / "task.parquet"),
    ):
        raise MemoryError
