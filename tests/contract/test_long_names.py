"""Long paths and long arguments: what has a limit is kept short, or handed over by a file."""

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

# More than the 128 KiB that one argument or variable of a process may have, once it is JSON.
LETTERS = "é" * 40_000
LISTENS = "import multiprocessing as m; m.Manager().list(); print('listens')"


def test_sockets_have_room_in_the_folder_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever TMPDIR is; what is left there is found again."""
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
def test_a_campaign_runs_with_a_long_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Redis, whose socket the baseline measures, and with pools that listen (C8)."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    words = "bench -b rq -b process-pool[forkserver] -b raw-redis -w noop --tasks 20 --cores 1"
    words += " --arrival burst --blocks 1 --provider local --allow-dirty --tables-only"
    assert main([*words.split(), "--results", str(tmp_path / "r")]) == 0


def test_a_long_argument_is_rehearsed(tmp_path: Path) -> None:
    """Its name has more characters than an argument of a process may have (C12)."""
    seen = preflight.rehearse(f'builtins:len["{LETTERS}"]', tmp_path)
    assert (seen.answer, seen.trouble) == (40_000, "")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["inline", "process-pool", "celery", "rq", "dask[distributed]"])
def test_a_long_argument_is_measured(label: str, tmp_path: Path) -> None:
    """Through each carrier."""
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
    assert set(rows.answers) == {"inline call"}


@pytest.mark.slow
@pytest.mark.parametrize("label", ["celery-beat[static]", "apscheduler"])
def test_two_thousand_jobs_are_scheduled(label: str, tmp_path: Path) -> None:
    """They are longer than one variable may be: driver and scheduler read them from a file."""
    arrival = Periodic(2_000, 2, every_s=10.0)
    row = run(tmp_path, spec_of(label, arrival=arrival, deadline_s=60.0)).row
    assert (row.status, row.reason) == ("ok", "")
