"""Tests records of a worker whose monotonic clock is hours off, in a time namespace of its own.

The wall clock has no namespace, so the tasks record by it when they really ran.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.recording.agent_connection import AgentConnection
from lab.recording.corrected_records import correct
from lab.recording.handover import hand_over
from lab.recording.ledger_reader import executions
from lab.recording.node_clock import NodeClock, offset_reading
from tests.factories.agents import TOKEN, AgentProcess, address_of

OFFSET_S = 10 * 3_600
ELSEWHERE = ("unshare", "--time", "--fork", "--kill-child", "--monotonic", str(OFFSET_S))
N_TASKS = 200

WORKER = """
import sys, time
from lab.worker import execution
execution._functions["clock:wall"] = lambda _: time.time_ns()
for line in sys.stdin:
    execution.execute(int(line), "clock:wall", 0)
"""

pytestmark = pytest.mark.cluster


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return the ledger folder of the node."""
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


@pytest.fixture
def agent(ledger: Path) -> Iterator[AgentProcess]:
    """Run the agent of the node, on the node's clock."""
    process = AgentProcess(ledger, ELSEWHERE)
    yield process
    process.kill()


@pytest.fixture
def worker(ledger: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker that executes the task of each line, on the node's clock."""
    environment = {**os.environ, "LAB_LEDGER": str(ledger), "LAB_NODE": "1", "LAB_SLOT": "0"}
    command = [*ELSEWHERE, sys.executable, "-c", WORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, env=environment, bufsize=1
    ) as process:
        yield process


def wall_offset_ns() -> int:
    """Return the wall clock's offset to the monotonic clock, from the closest of many readings."""
    readings = []
    for _ in range(1_000):
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]


def test_waits_agree_with_those_on_one_clock(
    agent: AgentProcess, worker: subprocess.Popen[str], ledger: Path, tmp_path: Path
) -> None:
    """The wall clock of each task is between its start and its end, to the bound of the clocks."""
    assert worker.stdin
    address, records, copies = address_of(agent.port), tmp_path / "records", tmp_path / "ledger"
    records.mkdir()
    copies.mkdir()
    offset_ns, due_ns = wall_offset_ns(), []
    with AgentConnection(address, TOKEN) as connection:
        readings = [offset_reading(connection.exchanges())]
        for task_id in range(N_TASKS):
            due_ns.append(time.monotonic_ns())
            worker.stdin.write(f"{task_id}\n")
            while connection.finished(range(N_TASKS)) <= task_id:
                time.sleep(0.001)
            if task_id % 50 == 25:
                readings.append(offset_reading(connection.exchanges()))
        readings.append(offset_reading(connection.exchanges()))
    worker.stdin.close()
    assert hand_over(address, TOKEN, records, 10.0) == ()
    clock = NodeClock(readings)
    bound_ns = correct(records, copies, clock)
    # The wall clock may be slewed during the test.
    slew_ns = abs(wall_offset_ns() - offset_ns) + 1_000
    rows = [row for path in copies.iterdir() for row in executions(path)[1]]
    assert [row.task_id for row in rows] == list(range(N_TASKS))
    for row in rows:
        true_ns = row.answer - offset_ns
        assert row.started_ns - bound_ns - slew_ns <= true_ns
        assert true_ns <= row.finished_ns + bound_ns + slew_ns
        assert row.started_ns - due_ns[row.task_id] >= -bound_ns
    assert clock.excess_ns() == 0
    # As the node recorded them, the instants are hours later.
    (path,) = (ledger / name.name for name in records.iterdir())
    for row, copy in zip(executions(path)[1], rows, strict=True):
        assert abs(row.started_ns - copy.started_ns - OFFSET_S * 10**9) <= bound_ns
