"""Tests long paths and arguments, which the lab shortens or passes in a file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.model import Periodic
from lab.host import temp_dirs
from lab.results.store import Store
from lab.running import preflight
from tests.factories.trials import run, spec_of

# As JSON, longer than the 128 KiB limit of one argument or variable of a process.
LETTERS = "é" * 40_000
LISTENS = "import multiprocessing as m; m.Manager().list(); print('listens')"


def test_temporary_folder_is_short_enough_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds for any TMPDIR; the folder of a dead owner is found and removed."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with temp_dirs.folder() as folder:
        assert len(str(folder)) <= temp_dirs.LONGEST + len("/lab-12345678")
        environment = {**os.environ, "TMPDIR": str(folder)}
        command = [sys.executable, "-c", LISTENS]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert done.stdout == b"listens\n"
        (folder / temp_dirs.OWNER).unlink()
        (folder / temp_dirs.OWNER).symlink_to("another-boot/1:1:1.00")
        assert temp_dirs.remove_dead() >= 1
        assert not folder.exists()


@pytest.mark.slow
def test_campaign_runs_with_a_long_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a Redis socket for the host baseline, and pools with sockets (C8)."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    words = "bench -b rq -b process-pool[forkserver] -b raw-redis -w noop --tasks 20 --cores 1"
    words += " --arrival burst --blocks 1 --provider local --allow-dirty --tables-only"
    assert main([*words.split(), "--results", str(tmp_path / "r")]) == 0


def test_preflight_accepts_a_long_argument(tmp_path: Path) -> None:
    """The function's name is longer than an argument of a process may be (C12)."""
    result = preflight.run_preflight(f'builtins:len["{LETTERS}"]', tmp_path)
    assert (result.answer, result.unchecked) == (40_000, "")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["inline", "process-pool", "celery", "rq", "dask[distributed]"])
def test_backends_accept_a_long_argument(label: str, tmp_path: Path) -> None:
    """The labels cover each way to serialise an argument."""
    words = ["bench", "--task", "builtins:len", "--args", f'["{LETTERS}"]', "-b", label]
    words += [
        "--tasks",
        "10",
        "--cores",
        "1",
        "--arrival",
        "burst",
        "--blocks",
        "1",
        "--provider",
        "local",
    ]
    assert main([*words, "--allow-dirty", "--tables-only", "--results", str(tmp_path)]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    rows = Store(run).read("trial")
    assert set(rows.answer_check) == {"inline call"}


@pytest.mark.slow
@pytest.mark.parametrize("label", ["celery-beat[static]", "apscheduler"])
def test_schedulers_accept_two_thousand_jobs(label: str, tmp_path: Path) -> None:
    """They are longer than a variable may be: driver and scheduler read them from a file."""
    arrival = Periodic(2_000, 2, every_s=10.0)
    row = run(tmp_path, spec_of(label, arrival=arrival, deadline_s=60.0)).row
    assert (row.status, row.reason) == ("ok", "")
