"""A results folder that may not be written: one sentence from every command that writes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.errors import ExitCode
from lab.history import run_index
from tests.conftest import once
from tests.factories import finished_run
from tests.factories.intruders import UNPRIVILEGED

ROOT = Path(__file__).parents[3]
BENCH = "bench -b inline -w noop --tasks 5 --cores 1 --arrival burst --blocks 1 --provider local"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which all is well."""
    return once(tmp_path_factory, "finished", finished_run.write)


@pytest.fixture
def results(sound: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A results folder with a copy of it, in the current folder, which any user may read."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.chdir(name)
        folder = Path(name) / "results"
        shutil.copytree(sound, folder / "runs" / "run")
        yield folder


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let this user read a folder and not write it; root goes on as a user without rights."""
    everything, before = [folder, *folder.rglob("*")], os.geteuid()
    for path in (folder.parent, *everything):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if before == 0:
        os.seteuid(UNPRIVILEGED)
    try:
        yield
    finally:
        os.seteuid(before)
        for path in (folder.parent, *everything):
            path.chmod(0o755)


def content(folder: Path) -> dict[Path, int]:
    """Return all files and folders with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def refused(words: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command that is to end in one sentence, and to change nothing."""
    run = results / "runs" / "run"
    trial = (run / "trial.csv").read_text().splitlines()[1].partition(",")[0]
    before = content(results)
    with read_only(results):
        code = main(words.format(run=run, trial=trial).split())
    said = capsys.readouterr().err
    assert code == ExitCode.MACHINE_FAILED, said
    assert len([line for line in said.splitlines() if line.startswith("lab: ")]) == 1
    assert "Permission denied" in " ".join(said.split())
    assert "defect" not in said
    assert content(results) == before


@pytest.mark.parametrize(
    "words",
    [
        f"{BENCH} --allow-dirty",
        "bench --resume {run}",
        "bench --like {run}",
        "report {run}",
        "publish {run}",
        "reproduce {run}/{trial}",
    ],
)
def test_a_folder_that_may_not_be_written_is_a_sentence(
    words: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the path and what the system said; nothing is changed."""
    refused(words, results, capsys)


def test_a_history_that_may_not_be_written_is_a_sentence(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git is asked before, because it answers only to the owner of the repository."""
    runs = run_index.read(results, ROOT)
    monkeypatch.setattr(run_index, "read", lambda *_: runs)
    refused("history", results, capsys)
