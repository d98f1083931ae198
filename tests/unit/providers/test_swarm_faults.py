"""Tests which hosts a fault may take away, and in which order; no engine is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.core import placement
from lab.core.errors import ClusterError
from lab.core.faults import FaultKind, Role, Target, of_kind
from lab.core.model import Topology
from lab.core.provider import TrialContext
from lab.planning import registry
from lab.providers import swarm_faults, swarm_hosts
from lab.providers.compose_parts import ContainerPart
from lab.providers.swarm import SwarmCluster
from lab.providers.swarm_faults import HostLedgers
from lab.providers.swarm_hosts import Host, Swarm
from lab.running import trial
from tests.factories.trials import spec_of

N1, N2, N3 = (Host(f"n{i}", f"id{i}", f"ssh://n{i}" if i > 1 else "", 4) for i in (1, 2, 3))
PARTS = ("driver", "redis", "node0", "node1", "node2", "node3", "agent0", "agent1", "agent2")


class Ledger:
    """The ledger of a host, which counts how often it is read."""

    def __init__(self) -> None:
        self.n_reads = 0

    def count(self) -> int:
        """Return the number of reads, as that of finished tasks."""
        self.n_reads += 1
        return self.n_reads

    def writers(self) -> list[int]:
        """Return what the last count has read."""
        return [self.n_reads]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SwarmCluster:
    """Return a cluster of four nodes on three hosts; the first has the driver and the server."""
    hosts = Swarm(N1, N1, (N1, N2, N3))
    monkeypatch.setattr(swarm_hosts, "known", lambda: hosts)
    monkeypatch.setattr(placement, "available_cpus", lambda: (0, 1, 2, 3))
    fault = of_kind(FaultKind.HOST_LOSS)
    spec = spec_of("celery", topology=Topology(4, 1, 1), provider="swarm", fault=fault)
    labels = {"LAB_TRIAL": "trial-1", "LAB_OWNER": "owner"}
    backend = registry.select(spec.label).backend
    cluster = SwarmCluster(TrialContext(spec, backend, tmp_path, trial.place(spec), labels))
    cluster._swarm = hosts
    cluster.parts = {
        name: ContainerPart(name, "image", None, address=cluster._host(name).address)
        for name in PARTS
    }
    return cluster


@pytest.fixture
def done(cluster: SwarmCluster, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace what the engines do; return their actions in their order."""
    done = list[str]()

    @contextlib.contextmanager
    def fake(address: str = "") -> Iterator[Any]:
        kill = lambda identity: done.append(f"kill {identity} at {address}")  # noqa: E731
        yield SimpleNamespace(api=SimpleNamespace(kill=kill))

    def cut(part: str) -> str:
        done.append(f"cut {part}")
        return "interfaces up: {'eth0': False}"

    monkeypatch.setattr(swarm_faults, "engine", fake)
    monkeypatch.setattr(cluster, "cut", cut)
    monkeypatch.setattr(cluster, "_exit_code", lambda *_: "State.ExitCode 137")
    ledgers: Any = {host.name: Ledger() for host in (N1, N2, N3)}
    monkeypatch.setattr(cluster, "_ledgers", HostLedgers(ledgers))
    return done


def names(cluster: SwarmCluster) -> list[str]:
    """Return the hosts that may leave."""
    return [target.part for target in cluster.targets(Role.HOST)]


def test_a_swarm_can_only_lose_one_of_several_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each other fault is refused with the next step; the control is not."""
    hosts = Swarm(N1, N1, (N1, N2))
    monkeypatch.setattr(swarm_hosts, "known", lambda: hosts)
    lacks = {kind: SwarmCluster.fault_lack(kind) for kind in FaultKind}
    assert {kind for kind, lack in lacks.items() if not lack} == {
        FaultKind.NONE,
        FaultKind.HOST_LOSS,
    }
    assert {*lacks.values()} == {"", "it has only host-loss (--provider compose has the others)"}
    hosts = Swarm(N1, N1, (N2,))
    lack = "it has workers on one host; name another in LAB_ENGINES"
    assert SwarmCluster.fault_lack(FaultKind.HOST_LOSS) == lack
    assert SwarmCluster.fault_lack(FaultKind.NONE) == ""


def test_the_host_of_the_driver_or_of_a_server_stays(cluster: SwarmCluster) -> None:
    """Also if it has workers."""
    assert names(cluster) == ["n2", "n3"]
    cluster._swarm = Swarm(N1, N2, (N1, N2, N3))
    assert names(cluster) == ["n3"]


def test_the_nodes_of_a_host_are_those_of_all_its_workers(cluster: SwarmCluster) -> None:
    """Four nodes on three hosts; the first host has the first and the last one."""
    assert cluster.nodes_of(Target(Role.HOST, "n1", None)) == {0, 3}
    assert cluster.nodes_of(Target(Role.HOST, "n3", None)) == {2}
    assert cluster.nodes_of(Target(Role.WORKER, "node1", 7, 1)) == {1}
    assert cluster.pids_of(Target(Role.HOST, "n3", None)) == {None}


def test_a_host_is_silent_before_its_containers_end(cluster: SwarmCluster, done: list[str]) -> None:
    """So that no peer sees the end of a connection; what it executes is read in between."""
    cluster._ledgers.count()
    proof = cluster.lose_host(Target(Role.HOST, "n2", None))
    assert sorted(done[:2]) == ["cut agent1", "cut node1"]
    assert done[2:] == ["kill node1 at ssh://n2", "kill agent1 at ssh://n2"]
    of_part = "interfaces up: {'eth0': False}, State.ExitCode 137"
    assert proof == f"node1: {of_part}; agent1: {of_part}"
    assert names(cluster) == ["n3"]
    # The lost host is not read again.
    assert list[Any](cluster._ledgers.writers()) == [1, 2, 1]
    assert cluster._ledgers.count() == 2 + 2 + 2
    cluster.lose_host(Target(Role.HOST, "n3", None))
    assert names(cluster) == []


def test_a_container_that_still_runs_is_no_hit(
    cluster: SwarmCluster, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is its exit code."""
    monkeypatch.setattr(cluster, "_exit_code", lambda *_: "")
    with pytest.raises(ClusterError, match="A container of n2 still runs after SIGKILL."):
        cluster.lose_host(Target(Role.HOST, "n2", None))
    assert len(done) == 4


def test_no_container_of_a_swarm_is_started_again(cluster: SwarmCluster) -> None:
    """Swarm gives the address of one that has ended to another."""
    cluster._dead = {"node1"}
    assert cluster.dead_parts() == ()
