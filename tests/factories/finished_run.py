"""Runs a small campaign of two in-process backends, with all its files."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock, patch

from lab.campaign import run_folder, runner
from lab.core.model import Burst
from lab.host import environment
from lab.host.repository import git_or_none
from lab.planning.plan import Plan
from lab.recording import host_counters
from lab.report import page
from lab.report.run_tables import RunTables
from lab.running import host_baselines
from tests.factories.trials import spec_of

LABELS, BLOCKS, N = ("thread-pool", "threading[queue]"), 2, 50


def write(results: Path) -> Path:
    """Run the campaign and write its report; return the run folder, of the current commit."""
    specs = tuple(
        spec_of(label, arrival=Burst(N), block=block) for block in range(BLOCKS) for label in LABELS
    )
    run = run_folder.Run(Plan(specs, ()), "quick", 5, 0, "bench --preset quick")
    commit = git_or_none(Path(__file__).parent, "rev-parse", "HEAD") or ""
    with (
        patch.object(environment, "git_state", lambda: (commit, "0")),
        patch.object(host_baselines, "measure_baselines", lambda *_: []),
        patch.object(host_counters, "calibrate", lambda: 1),
    ):
        store = run_folder.create(results, run)
        rows = runner.execute(store, run, MagicMock())
        assert [row.status for row in rows] == ["ok"] * len(specs), rows
        page.write(RunTables(store.folder))
    return store.folder
