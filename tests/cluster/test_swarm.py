"""Tests the provider of a swarm, with three engines in network namespaces of this machine."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.faults import FaultKind, of_kind
from lab.core.model import Burst, Paced, Topology
from lab.core.provider import TrialContext
from lab.host import processes
from lab.planning import faults, registry
from lab.providers import reaper, swarm_hosts
from lab.providers.images import Images
from lab.providers.swarm import SwarmCluster
from lab.running import trial
from tests.cluster.swarm import SwarmHost, swarm
from tests.factories.trials import look_in, run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

N_TASKS = 60


@pytest.fixture(scope="module")
def engines(
    containers: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[SwarmHost]]:
    """Run a swarm whose engines have all images, because a provider resolves all of them."""
    names = [image.name for image in containers.values()]
    # One swarm at a time: the processes of pytest-xdist share the network of this machine.
    lock = tmp_path_factory.getbasetemp().parent / "swarm.lock"
    # A short path, because it contains sockets.
    with lock.open("w") as locked, tempfile.TemporaryDirectory() as folder:
        fcntl.lockf(locked, fcntl.LOCK_EX)
        with swarm(Path(folder), names) as hosts:
            yield hosts


@pytest.fixture
def hosts(engines: list[SwarmHost], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SwarmHost]]:
    """Use the swarm; its engines have nothing of the lab before and after the test."""
    monkeypatch.setenv("DOCKER_HOST", engines[0].address)
    monkeypatch.setenv("LAB_ENGINES", " ".join(host.address for host in engines))
    swarm_hosts.known.cache_clear()
    assert reaper.remains() == []
    yield engines
    assert reaper.remains() == []
    swarm_hosts.known.cache_clear()


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("label", ["celery[prefork]", "rq[worker]"])
def test_every_task_is_recorded_once_on_one_two_and_three_hosts(
    label: str, nodes: int, hosts: list[SwarmHost], tmp_path: Path
) -> None:
    """The records of each host arrive in the driver's ledger, on its clock."""
    names = [host.name for host in hosts[:nodes]]
    spec = spec_of(label, "io", Burst(N_TASKS), Topology(nodes, 1, 1), 20_000, provider="swarm")
    result = run(tmp_path, spec)
    row = result.row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.n_done, row.n_lost, row.n_duplicated, row.n_negative) == (N_TASKS, 0, 0, 0)
    assert row.node_hosts == "|".join(names)
    assert {*result.tables["task"].node} == {*range(nodes)}
    assert row.images.startswith("lab-node:")


def test_several_drivers_are_on_the_manager_and_offer_each_task_once(
    hosts: list[SwarmHost], tmp_path: Path
) -> None:
    """Their workers are on another host, whose records arrive as those of one driver do."""
    topology = Topology(1, 1, 1, drivers=3)
    arrival = Paced(N_TASKS, 50.0)
    spec = spec_of("celery[prefork]", "noop", arrival, topology, provider="swarm")
    result = run(tmp_path, spec)
    row = result.row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.drivers, row.n_sent, row.n_done, row.n_duplicated) == (3, N_TASKS, N_TASKS, 0)
    assert (row.n_negative, row.node_hosts) == (0, hosts[0].name)
    submits = result.tables["submit"]
    assert submits[submits.phase == "measure"].task_id.nunique() == N_TASKS


def test_what_a_killed_lab_leaves_is_removed_on_every_host(
    hosts: list[SwarmHost], tmp_path: Path
) -> None:
    """Its services, containers, network and volumes; a volume of somebody else stays."""
    hosts[1].docker("volume", "create", "of-somebody-else")
    spec = spec_of("rq[worker]", topology=Topology(2, 1, 1), provider="swarm")
    dead = f"{processes.realm()}:999999999:1.00"
    labels = {processes.OWNER: dead, processes.TRIAL: f"{spec.id}-1"}
    backend = registry.select(spec.label).backend
    cluster = SwarmCluster(TrialContext(spec, backend, tmp_path, trial.place(spec), labels))
    try:
        cluster.up()
        left = {(thing.kind, thing.address) for thing in reaper.remains()}
        assert {("service", ""), ("network", ""), ("volume", hosts[1].address)} < left
        while reaper.reap_dead():
            pass
        assert reaper.remains() == []
    finally:
        cluster.down()
    assert hosts[1].docker("volume", "ls", "--quiet") == "of-somebody-else"
    hosts[1].docker("volume", "rm", "of-somebody-else")


@pytest.mark.parametrize(
    ("label", "nodes", "size_us", "outcomes"),
    [
        # It acknowledges a task before it runs. At 10 a second, three nodes are always busy.
        ("celery[prefork]@default", 3, 350_000, {"lost-silent"}),
        # Its horizon is longer than this drain, after which it still reports that the task runs.
        ("rq[worker]@default", 2, 100_000, {"unknown"}),
    ],
)
def test_a_lost_host_is_a_result_and_the_campaign_goes_on(
    label: str,
    nodes: int,
    size_us: int,
    outcomes: set[str],
    hosts: list[SwarmHost],
    tmp_path: Path,
) -> None:
    """Its tasks have the outcome that the system gives them, and the other hosts go on."""
    fault = of_kind(FaultKind.HOST_LOSS)
    paced, topology = faults.fitted(Paced(1, 10.0), fault), Topology(nodes, 1, 1)
    spec = spec_of(label, "io", paced, topology, size_us, provider="swarm", fault=fault)
    result = run(tmp_path, spec)
    row, (hit,) = result.row, result.tables["fault"].itertuples()
    assert (row.status, hit.status, row.n_hits) == ("ok", "hit", 1), (row.reason, hit.reason)
    assert hit.target in [host.name for host in hosts[1:nodes]]
    assert "State.ExitCode 137" in hit.proof
    assert "True" not in hit.proof
    assert hit.restarted_ns is None
    lost = row.node_hosts.split("|").index(hit.target)
    assert row.reason.startswith(f"node {lost}: its agent did not answer")
    table = result.tables["outcome"].set_index("task_id")
    interrupted = [int(task_id) for task_id in hit.task_ids.split()]
    assert interrupted
    assert {*table.outcome[interrupted]} == outcomes
    assert len(table) == paced.n_tasks
    tasks = result.tables["task"]
    assert tasks.t3_ns[tasks.node == lost].max() <= hit.injected_ns
    assert (tasks.t3_ns[tasks.node != lost] > hit.injected_ns).sum() > N_TASKS // 2
    # The records of the lost host, up to the last copy.
    assert (tasks.node == lost).sum() > 0
    again = spec_of(label, "noop", Burst(N_TASKS), topology, provider="swarm")
    following = run(tmp_path / "following", again).row
    assert (following.status, following.n_done) == ("ok", N_TASKS)


def test_a_host_that_leaves_in_mid_trial_fails_it_and_the_next_trial_runs(
    hosts: list[SwarmHost], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names what has gone; what the others recorded is kept."""
    *staying, leaving = hosts
    paced, topology = Paced(1_000, 100.0), Topology(3, 1, 1)
    spec = spec_of("celery[prefork]", "noop", paced, topology, provider="swarm")
    row = look_in(tmp_path, spec, lambda _: leaving.stop()).row
    assert row.status == "failed"
    assert "node2" in row.reason or leaving.address in row.reason
    # Until the user says that it is gone, no trial counts on it.
    again = run(tmp_path / "again", spec).row
    assert (again.status, leaving.address in again.reason) == ("failed", True)
    monkeypatch.setenv("LAB_ENGINES", " ".join(host.address for host in staying))
    swarm_hosts.known.cache_clear()
    last = run(tmp_path / "last", replace(spec, arrival=Burst(N_TASKS))).row
    first, second = (host.name for host in staying)
    assert (last.status, last.node_hosts) == ("ok", f"{first}|{second}|{first}")
