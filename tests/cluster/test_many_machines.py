"""Tests trials of real systems whose nodes share neither a folder nor a clock with the driver.

The nodes are processes of this machine; one is in a time namespace ten hours away, which needs
root. Its offset is exact, so the records themselves have the true instant of each start.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from lab.core.model import Burst, Paced, Topology, TrialSpec
from lab.host import processes
from lab.recording import node_agent
from lab.recording.ledger_reader import executions
from lab.running import trial
from lab.validation.trial_row import TrialResult, collect
from tests.factories.many_machines import OFFSET_S, machine, use_many_machines
from tests.factories.trials import CONTEXT, run, spec_of

N = 60

pytestmark = pytest.mark.cluster


def largest_error_ns(tasks: pd.DataFrame, folder: Path, node: int, offset_ns: int) -> int:
    """Return how far starts in the table are off those that the node recorded."""
    recorded = {
        record.task_id: record.started_ns - offset_ns
        for path in machine(folder, node).glob("*.bin")
        for record in executions(path)[1]
    }
    of_node = tasks[tasks.node == node]
    assert len(of_node) > 0
    starts = zip(of_node.task_id, of_node.t3_ns, strict=True)
    return max(abs(int(t3_ns) - recorded[task_id]) for task_id, t3_ns in starts)


@pytest.mark.parametrize(
    ("label", "nodes"), [("celery[prefork]", 2), ("rq[worker]", 3), ("rq[simple-worker]", 2)]
)
def test_waits_agree_with_those_on_one_clock(
    label: str, nodes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tasks are counted, and each start is the true one within the bound in the row."""
    use_many_machines(monkeypatch, 1)
    spec = spec_of(label, arrival=Paced(N, 30.0), topology=Topology(nodes, 1, 1))
    result = run(tmp_path, spec)
    row: Any = result.row
    tasks = result.tables["task"]
    assert (row.status, row.reason, row.n_done, row.n_lost) == ("ok", "", N, 0)
    assert row.flag != "invalid", row.flag_reasons
    assert row.node_hosts.split("|") == [f"machine-{node}" for node in range(nodes)]
    bound_ns = row.clock_bound_ns
    assert 0 < bound_ns < 100_000_000
    assert 0 < row.ping_min_ns <= row.ping_median_ns
    assert row.bandwidth_bytes_per_s > 0
    window = tasks[tasks.phase == "measure"]
    for node in range(nodes):
        offset_ns = OFFSET_S * 10**9 if node == 1 else 0
        assert largest_error_ns(window, tmp_path / spec.id, node, offset_ns) <= bound_ns


def test_a_burst_on_two_machines_has_its_throughput(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uninstrumented burst is counted by the agents too."""
    use_many_machines(monkeypatch, 1)
    spec = spec_of("celery[threads]", arrival=Burst(100), topology=Topology(2, 1, 1))
    observed = trial.run_trial(spec, 1, tmp_path / "t", lambda _: None, 1e9)
    result = collect(observed, CONTEXT)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 100)
    assert (result.tables["task"].phase == "unrecorded").sum() == 20


def run_and_kill_agent(folder: Path, spec: TrialSpec, node: int) -> TrialResult:
    """Run a trial, and kill the agent of a node when the last task has been offered."""

    def on_phase(name: str) -> None:
        if name == "drain":
            for process in processes.labelled(lambda env: processes.TRIAL in env):
                with contextlib.suppress(psutil.NoSuchProcess):
                    command = process.cmdline()
                    if node_agent.__name__ in command and str(machine(folder, node)) in command:
                        process.kill()

    return collect(trial.run_trial(spec, 1, folder, on_phase), CONTEXT)


def test_the_row_says_whose_records_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records of the other machine count, no task counts as lost, and the next trial runs."""
    use_many_machines(monkeypatch, 1)
    two = Topology(2, 1, 1)
    spec = spec_of("celery[prefork]", "io", Burst(40), two, 50_000, deadline_s=4.0)
    row = run_and_kill_agent(tmp_path / "killed", spec, 1).row
    assert row.status == "timeout"
    assert "executions unfinished 4 s after the last was offered." in row.reason
    assert "node 1: " in row.reason
    assert "node 0: " not in row.reason
    assert (row.n_sent, row.n_done + row.n_unknown, row.n_lost) == (40, 40, 0)
    assert row.n_done > 0
    assert row.n_unknown > 0
    following = spec_of("celery[prefork]", arrival=Burst(40), topology=two, seed=6)
    row = run(tmp_path / "following", following).row
    assert (row.status, row.reason, row.n_done) == ("ok", "", 40)
