"""Tests that the driver's ledger has the records of other machines, on the driver's clock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.driver import node_records
from lab.driver.node_records import NodeRecords, records_of
from lab.driver.worker_records import WorkerRecords
from lab.recording import agent_connection, node_agent, node_samples
from lab.recording.ledger_reader import CompletionCounter, executions, header
from lab.recording.sample import Sample
from lab.worker import ledger
from tests.factories.agents import LOOPBACK, TOKEN, address_of, served
from tests.factories.skewed_clocks import HOUR_NS

OFFSET_NS = 7 * HOUR_NS


@pytest.fixture(autouse=True)
def _away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the agents have a clock that is seven hours ahead, and try again for a short time."""
    monkeypatch.setattr(node_agent, "monotonic_ns", lambda: time.monotonic_ns() + OFFSET_NS)
    monkeypatch.setattr(node_records, "HAND_OVER_S", 0.3)
    monkeypatch.setattr(node_records, "START_S", 0.1)
    monkeypatch.setattr(node_records, "READ_S", 0.02)


@pytest.fixture
def nodes(tmp_path: Path) -> list[Path]:
    """Return the ledger folders of two nodes."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def records(nodes: list[Path], tmp_path: Path) -> Iterator[NodeRecords]:
    """Return the records of both nodes, connected to their agents."""
    (tmp_path / "trial" / "ledger").mkdir(parents=True)
    with ExitStack() as stack:
        ports = [stack.enter_context(served(folder)) for folder in nodes]
        agents = [replace(address_of(port), node=node) for node, port in enumerate(ports)]
        records = NodeRecords(tmp_path / "trial" / "ledger", agents, TOKEN, [])
        records.connect()
        yield records
        records.hand_over()


def execute(folder: Path, task_id: int, node: int = 0) -> int:
    """Record a task of now on the clock of a node; return its start on the driver's."""
    started_ns = time.monotonic_ns()
    name = f"{node}-0-{task_id}-{started_ns + OFFSET_NS}.bin"
    words = ledger.create(str(folder / name), node, 0, 4)
    words[ledger.WORDS], words[ledger.WORDS + 2] = task_id, started_ns + OFFSET_NS
    words[4] = 12_345  # a time namespace of another kernel
    ledger.finish(words, ledger.WORDS, started_ns + OFFSET_NS + 1_000, 9)
    return started_ns


def samples_of(records: WorkerRecords, metric: str) -> list[Sample]:
    """Return the samples of one metric."""
    return [sample for sample in records.samples if sample.metric == metric]


def test_records_are_fetched_and_handed_over(records: NodeRecords, nodes: list[Path]) -> None:
    """After each call, the ledger has each record once, with its start on the driver's clock."""
    true_ns = {}
    for task_id in range(3):
        for node, folder in enumerate(nodes):
            true_ns[10 * node + task_id] = execute(folder, 10 * node + task_id, node)
        assert records.fetch() == records.ledger
        assert CompletionCounter(records.ledger).count() == 2 * (task_id + 1)
    assert records.hand_over() == ""
    assert records.incomplete == set()
    rows = dict[int, int]()
    for path in records.ledger.iterdir():
        assert header(path).time_namespace == ledger.time_namespace()
        rows |= {row.task_id: row.started_ns for row in executions(path)[1]}
    assert rows.keys() == true_ns.keys()
    assert all(abs(rows[i] - true_ns[i]) <= records.bound_ns for i in rows)
    assert 0 < records.bound_ns < 100_000_000


def test_the_clocks_are_read_all_the_time(records: NodeRecords, nodes: list[Path]) -> None:
    """Each reading is in the samples, and none comes after the hand-over."""
    execute(nodes[0], 1)
    while len(samples_of(records, node_samples.ERROR)) < 10:
        time.sleep(0.01)
    records.hand_over()
    taken = node_samples.readings(records.samples)
    assert taken.keys() == {0, 1}
    for readings in taken.values():
        assert len(readings) >= 5
        for reading in readings:
            off_ns = reading.node_ns - reading.driver_ns - OFFSET_NS
            assert abs(off_ns) <= reading.error_ns
    n_pings = len(samples_of(records, node_samples.PING))
    assert n_pings == agent_connection.N_EXCHANGES * sum(map(len, taken.values()))
    assert all(sample.value > 0 for sample in samples_of(records, node_samples.BANDWIDTH))
    assert {s.source for s in samples_of(records, node_samples.BANDWIDTH)} == {"node:0", "node:1"}
    time.sleep(0.1)
    assert len(samples_of(records, node_samples.PING)) == n_pings
    # A second call changes nothing.
    assert records.hand_over() == ""


def test_what_a_lost_node_had_recorded_is_there_up_to_the_last_second(
    nodes: list[Path], tmp_path: Path
) -> None:
    """The records are copied while the trial runs, and the node is named as incomplete."""
    (tmp_path / "trial" / "ledger").mkdir(parents=True)
    with served(nodes[0]) as first, ExitStack() as second:
        ports = [first, second.enter_context(served(nodes[1]))]
        agents = [replace(address_of(port), node=node) for node, port in enumerate(ports)]
        records = NodeRecords(tmp_path / "trial" / "ledger", agents, TOKEN, [])
        records.connect()
        records.copy_early()
        execute(nodes[1], 1, 1)
        copies = tmp_path / "trial" / "records" / "1"
        deadline = time.monotonic() + 10
        while not any(CompletionCounter(copies).count() for _ in range(copies.is_dir())):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second.close()
        # The server of this process ends, and its connections do not.
        for link in records._links[1:]:
            link.close()
        missing = records.hand_over()
    assert missing.startswith("node 1: its agent did not answer")
    assert records.incomplete == {1}
    assert CompletionCounter(records.ledger).count() == 1


def test_finished_tasks_are_counted_by_the_agents(records: NodeRecords, nodes: list[Path]) -> None:
    """They are counted before any record has been copied."""
    counter = records.counter(range(10))
    execute(nodes[0], 1)
    execute(nodes[1], 2)
    execute(nodes[1], 20)
    assert counter.reaches(2, 5.0)
    assert list(records.ledger.iterdir()) == []


def test_an_agent_that_does_not_start_is_named(tmp_path: Path) -> None:
    """The trial ends before its first task."""
    with socket.create_server((LOOPBACK, 0)) as unused:
        port = unused.getsockname()[1]
    (tmp_path / "trial" / "ledger").mkdir(parents=True)
    records = NodeRecords(tmp_path / "trial" / "ledger", [address_of(port)], TOKEN, [])
    with pytest.raises(ClusterError, match=r"node 1: its agent did not answer\. .*refused"):
        records.connect()
    # Nothing was recorded, and both reasons are known.
    missing = records.hand_over()
    assert missing.startswith("node 1: its agent did not answer, so its records are missing")
    assert "node 1: no record has an instant of this clock." in missing


def test_an_agent_that_starts_late_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs a third of a second, and its network may need longer."""
    monkeypatch.setattr(node_records, "START_S", 30.0)
    with socket.create_server((LOOPBACK, 0)) as unused:
        port = unused.getsockname()[1]
    (tmp_path / "trial").mkdir()
    records = NodeRecords(tmp_path / "trial" / "ledger", [address_of(port)], TOKEN, [])
    records.ledger.mkdir()
    waiting = threading.Thread(target=records.connect)
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()
    agent = node_agent.NodeAgent(tmp_path, TOKEN, (LOOPBACK, port))
    with agent:
        serving = threading.Thread(target=agent.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        waiting.join(30.0)
        assert not waiting.is_alive()
        assert records.hand_over() == ""
        agent.shutdown()
        serving.join()


def test_workers_of_the_same_kernel_need_no_agent(tmp_path: Path) -> None:
    """They write the driver's ledger."""
    execute(tmp_path, 1)
    records = records_of(tmp_path, (), [])
    records.connect()
    records.read_clocks()
    assert records.counter(range(10)).count() == 1
    assert records.fetch() == tmp_path
    assert records.hand_over() == ""
    assert (records.bound_ns, records.samples) == (0, [])


def test_the_token_is_that_of_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variable is set for a driver with agents."""
    monkeypatch.setenv(node_agent.TOKEN, TOKEN)
    with served(tmp_path) as port:
        records = records_of(tmp_path / "trial" / "ledger", (address_of(port),), [])
        records.ledger.mkdir(parents=True)
        records.connect()
        assert records.hand_over() == ""
