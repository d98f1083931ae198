"""Tests that an interrupted window is a row of its run, which can be resumed and reported."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from lab.results.store import Store
from tests.unit.cli.test_main import begin, lab, until

PACED = ["--arrival", "paced", "--rate", "40", "--tasks", "120"]


@pytest.mark.slow
def test_an_interrupted_paced_window_is_reported(tmp_path: Path) -> None:
    """The interrupted attempt has no end, which neither resuming nor reporting needs."""
    running = begin(
        *("bench", "-b", "thread-pool", "-w", "noop", *PACED, "--cores", "1", "--blocks", "1"),
        *("--tables-only", "--results", str(tmp_path)),
    )
    until(lambda: any("measure" in phases(file) for file in tmp_path.glob("runs/*/trials/*/*")))
    time.sleep(0.5)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 130
    (run,) = (tmp_path / "runs").iterdir()
    for command in (["bench", "--tables-only", "--resume"], ["report"]):
        shown = lab(*command, str(run))
        assert shown.returncode == 0, shown.stderr
    trials = Store(run).read("trial")
    assert trials.status.tolist() == ["interrupted", "ok"]
    assert trials.t_end_ns.isna().tolist() == [True, False]
    assert Store(run).read("metric").attempt.unique().tolist() == [1, 2]


def phases(file: Path) -> set[str]:
    """Return the phases in a driver's status file."""
    if file.name != "status.json":
        return set()
    return {name for name, _ in json.loads(file.read_text())["phases"]}
