"""Tests the hosts of a swarm: which are found, and the CPUs of each part."""

from __future__ import annotations

import pytest

from lab.core import placement
from lab.core.errors import ClusterError
from lab.core.model import Topology
from lab.providers import swarm_hosts
from lab.providers.swarm_hosts import Swarm
from tests.factories.fake_swarm import N1, N2, N3, FakeSwarm


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """Replace the engines; none is named."""
    engines = FakeSwarm()
    monkeypatch.setattr(swarm_hosts, "engine", engines.engine)
    name(monkeypatch)
    return engines


def name(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Name the engines of the workers."""
    monkeypatch.setattr(swarm_hosts, "named_engines", lambda: addresses)


@pytest.mark.usefixtures("engines")
def test_without_names_all_parts_are_on_the_manager() -> None:
    """A swarm of one node is the first step."""
    assert swarm_hosts.find() == Swarm(N1, N1, (N1,))


@pytest.mark.usefixtures("engines")
def test_nodes_go_round_the_named_hosts_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager has workers only if it is named as well."""
    name(monkeypatch, "ssh://n3", "", "ssh://n2")
    swarm = swarm_hosts.find()
    assert [swarm.host_of(node) for node in range(4)] == [N3, N1, N2, N3]
    assert swarm.used(1) == (N1, N3)
    name(monkeypatch, "ssh://n2")
    assert swarm_hosts.find().workers == (N2,)


def test_servers_have_the_labelled_host_for_themselves(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers on it would take its CPU time."""
    engines.set(3, is_broker=True)
    name(monkeypatch, "", "ssh://n2", "ssh://n3")
    assert swarm_hosts.find() == Swarm(N1, N3, (N1, N2))


def test_each_problem_of_a_swarm_has_its_next_step(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No swarm; an engine that does not answer; one of another swarm; a drained node; a label."""

    def problem() -> str:
        with pytest.raises(ClusterError) as caught:
            swarm_hosts.find()
        return str(caught.value)

    name(monkeypatch, "ssh://gone")
    step = "Start its engine, or take it out of LAB_ENGINES."
    assert problem() == f"ssh://gone: No container engine answers. {step}"
    name(monkeypatch, "ssh://n2")
    engines.set(2, "drain")
    assert "n2 is ready and drain in the swarm. Run: docker node update" in problem()
    engines.info["ssh://n2"]["Swarm"]["NodeID"] = "of-another"
    assert "n2 is not in the swarm of this engine. Run on it what" in problem()
    name(monkeypatch)
    engines.set(3, is_broker=True)
    assert problem() == "n3 has the label lab.broker. Add its engine to LAB_ENGINES."
    engines.info[""]["Swarm"] = {"NodeID": "", "LocalNodeState": "inactive"}
    assert problem() == swarm_hosts.NO_SWARM


def test_each_node_has_the_last_cpus_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Driver and servers have what remains of theirs."""
    monkeypatch.setattr(placement, "available_cpus", lambda: (0, 1, 2, 3))
    swarm = Swarm(N1, N1, (N1, N2))
    placed = swarm_hosts.place(swarm, Topology(2, 2, 2), has_services=True)
    assert placed.nodes == ((2, 3), (2, 3))
    assert (placed.driver, placed.services) == ((0,), (1,))
    assert placed.is_remote
    assert placed.dedicated
    assert not swarm_hosts.place(swarm, Topology(1, 2, 2), has_services=True).is_remote
    crowded = swarm_hosts.place(swarm, Topology(3, 2, 2), has_services=True)
    assert crowded.nodes == ((2, 3), (2, 3), (0, 1))
    assert not crowded.dedicated


def test_hosts_with_too_few_cpus_are_oversubscribed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the CPUs of each host, not by those of this machine."""
    monkeypatch.setattr(placement, "available_cpus", lambda: (0,))
    swarm = Swarm(N1, N3, (N2,))
    fits = swarm_hosts.place(swarm, Topology(2, 2, 2), has_services=True)
    assert (fits.mode, fits.services) == ("cpuset", (0, 1, 2, 3))
    assert swarm_hosts.place(swarm, Topology(3, 2, 2), has_services=True).mode == "oversubscribed"
