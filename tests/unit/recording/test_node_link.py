"""Tests that finished tasks are counted on all nodes, at a bounded rate, with cuts in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.core.errors import ClusterError
from lab.core.provider import AgentAddress
from lab.recording import node_link
from lab.recording.agent_connection import AgentConnection
from lab.recording.node_agent import NodeAgent
from lab.recording.node_link import AgentCounter, NodeLink
from lab.worker import ledger
from tests.factories.agents import TOKEN, AgentProcess, address_of, served, write_ledger


@pytest.fixture
def nodes(tmp_path: Path) -> list[Path]:
    """Return the folders of two nodes, with three tasks and one."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    write_ledger(folders[0], "0-0-7-1", range(10, 13))
    write_ledger(folders[1], "1-0-7-1", range(13, 14))
    return folders


@contextmanager
def linked(folder: Path) -> Iterator[NodeLink]:
    """Return a link to an agent in a thread."""
    with served(folder) as port, closing(NodeLink(address_of(port), TOKEN)) as link:
        yield link


def test_the_count_is_that_of_all_nodes(nodes: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of other phases do not count, and new ones do."""
    monkeypatch.setattr(node_link, "ASK_NS", 0)
    with linked(nodes[0]) as first, linked(nodes[1]) as second:
        counter = AgentCounter([first, second], range(11, 20))
        assert counter.count() == 3
        assert counter.reaches(3, 0.0)
        assert not counter.reaches(4, 0.0)
        write_ledger(nodes[1], "1-0-8-2", range(14, 16))
        assert counter.reaches(5, 0.0)


def test_an_agent_is_asked_seldom(nodes: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A count takes CPU time from the workers: at most fifty in a second, however often it is read.

    Between them, the last count is returned.
    """
    counted, n_counts = NodeAgent.counted, 0

    def count(agent: NodeAgent, request: str, first: int, end: int) -> int:
        nonlocal n_counts
        n_counts += 1
        return counted(agent, request, first, end)

    monkeypatch.setattr(NodeAgent, "counted", count)
    with linked(nodes[0]) as link:
        counter = AgentCounter([link], range(20))
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            assert counter.count() == 3
    assert 1 <= n_counts <= 11


def test_started_tasks_are_awaited(nodes: list[Path]) -> None:
    """Those of other phases are not."""
    words = ledger.create(str(nodes[1] / "1-0-9-3.bin"), 1, 0, 8)
    words[ledger.WORDS], words[ledger.WORDS + 2] = 15, 1_000
    with linked(nodes[0]) as first, linked(nodes[1]) as second:
        assert AgentCounter([first, second], range(15)).settles(0.0)
        counter = AgentCounter([first, second], range(20))
        assert not counter.settles(0.0)
        ledger.finish(words, ledger.WORDS, 2_000, 0)
        assert counter.settles(0.0)


def test_a_node_that_is_away_keeps_its_count(
    nodes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts until its agent answers again are not those of one instant."""
    monkeypatch.setattr(node_link, "ASK_NS", 0)
    monkeypatch.setattr(node_link, "INSTANT_NS", 10**12)  # this machine may be busy
    agent = AgentProcess(nodes[0])
    try:
        link = NodeLink(address_of(agent.port), TOKEN)
        with closing(link), linked(nodes[1]) as second:
            counter = AgentCounter([link, second], range(20))
            assert (counter.count(), counter.is_current) == (4, True)
            agent.kill()
            write_ledger(nodes[0], "0-0-8-2", range(15, 17))
            write_ledger(nodes[1], "1-0-8-2", range(17, 18))
            assert (counter.count(), counter.is_current) == (5, False)
            # It may run a task.
            assert counter.running() == 1
            with pytest.raises(ClusterError):
                link.ask(AgentConnection.exchanges)
            link.address = address_of(agent.start())
            assert (counter.count(), counter.is_current) == (7, True)
            assert counter.running() == 0
    finally:
        agent.kill()


def test_a_host_that_is_gone_is_asked_less_often_the_longer_that_takes(
    nodes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after five seconds is repeated ten seconds later; until then it is known."""
    now_s, tries_s, is_gone = 100.0, list[float](), True
    connect = AgentConnection

    def connected(address: AgentAddress, token: str) -> AgentConnection:
        nonlocal now_s
        tries_s.append(now_s)
        if not is_gone:
            return connect(address, token)
        now_s += 5.0
        raise ClusterError("No route to host.")

    clock = SimpleNamespace(monotonic_ns=lambda: round(now_s * 1e9))
    monkeypatch.setattr(node_link, "AgentConnection", connected)
    with linked(nodes[0]) as link, monkeypatch.context() as patch:
        patch.setattr(node_link, "time", clock)
        for _ in range(30):
            with pytest.raises(ClusterError, match="No route to host."):
                link.ask(connect.exchanges)
            now_s += 1.0
        assert tries_s == [100.0, 115.0, 130.0]
        is_gone, now_s = False, 145.0
        assert link.ask(connect.exchanges)


def test_a_count_that_takes_long_is_not_of_one_instant(
    nodes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little's law compares only counts of one instant."""
    monkeypatch.setattr(node_link, "INSTANT_NS", 0)
    with linked(nodes[0]) as link:
        counter = AgentCounter([link], range(20))
        assert (counter.count(), counter.is_current) == (3, False)
