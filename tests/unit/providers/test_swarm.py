"""Tests what the provider of a swarm refuses, and its view of the containers on each host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.core import placement
from lab.core.model import Service, Topology
from lab.core.provider import AgentAddress, TrialContext
from lab.planning import registry
from lab.providers import swarm, swarm_hosts
from lab.providers.compose_parts import ContainerPart
from lab.providers.container_events import SERVICE
from lab.providers.swarm import SwarmCluster
from lab.providers.swarm_hosts import Host, Swarm
from lab.running import trial
from tests.factories.trials import spec_of

HERE, FAR = Host("n1", "id1", "", 4), Host("n2", "id2", "ssh://n2", 4)
PINS = {"driver": "0", "redis": "1,2", "node0": "3", "node1": "3", "agent0": "0,1,2"}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SwarmCluster:
    """Return a cluster of two nodes on two hosts, which is not up."""
    hosts = Swarm(HERE, HERE, (HERE, FAR))
    monkeypatch.setattr(swarm_hosts, "known", lambda: hosts)
    monkeypatch.setattr(placement, "available_cpus", lambda: (0, 1, 2, 3))
    spec = spec_of("celery[prefork]", topology=Topology(2, 1, 1), provider="swarm")
    labels = {"LAB_TRIAL": "trial-1", "LAB_OWNER": "owner"}
    backend = registry.select(spec.label).backend
    cluster = SwarmCluster(TrialContext(spec, backend, tmp_path, trial.place(spec), labels))
    cluster._swarm = hosts
    return cluster


def engine_of(api: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the engines; return the addresses that are used."""
    used = list[str]()

    @contextlib.contextmanager
    def fake(address: str = "") -> Iterator[Any]:
        used.append(address)
        yield SimpleNamespace(api=api)

    monkeypatch.setattr(swarm, "engine", fake)
    return used


def test_what_a_swarm_cannot_do_is_refused_before_the_run() -> None:
    """Cron, quotas and systems with a file."""
    assert Service.CRON not in SwarmCluster.offered()
    assert not SwarmCluster.has_quotas
    assert not SwarmCluster.shares_files


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"State": "running"}, ""),
        ({"State": "failed", "Err": "exit (1)", "ContainerStatus": {"ContainerID": "c"}}, ""),
        ({"State": "rejected", "Err": "No such image: x"}, "No such image: x"),
        ({"State": "orphaned"}, "orphaned"),
    ],
)
def test_a_container_that_never_starts_is_named_with_its_host(
    cluster: SwarmCluster,
    monkeypatch: pytest.MonkeyPatch,
    status: dict[str, Any],
    reason: str,
) -> None:
    """One that has started and ended is reported by its event, with its log."""
    task = {"Spec": {"ContainerSpec": {"Labels": {SERVICE: "node1"}}}, "Status": status}
    engine_of(SimpleNamespace(tasks=lambda filters: [task]), monkeypatch)
    sentence = f"node1 was not started on n2: {reason}. Run: lab doctor"
    assert cluster._refusal() == (sentence if reason else "")


def test_each_container_gets_the_cpus_of_its_role(
    cluster: SwarmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the engine of its host; an agent runs beside the node."""
    cluster.parts = {name: ContainerPart(name, "image", None) for name in PINS}
    pinned = dict[str, str]()

    def update(identity: str, cpuset_cpus: str) -> None:
        pinned[identity] = cpuset_cpus

    used = engine_of(SimpleNamespace(update_container=update), monkeypatch)
    for name in PINS:
        cluster._pin(name)
    assert pinned == PINS
    assert used == ["", "", "", "ssh://n2", ""]


def test_the_agents_of_a_cluster_have_the_first_nodes_of_their_hosts(
    cluster: SwarmCluster,
) -> None:
    """The driver reaches them by name, in the network of the stack."""
    before = cluster.agents
    cluster.parts = {name: ContainerPart(name, "image", None) for name in ("agent1", "agent0")}
    assert cluster.agents == (AgentAddress(0, "agent0", 7_070), AgentAddress(1, "agent1", 7_070))
    assert before == ()
