"""The contract of a backend, held through containers: the same trials, another provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.backend import services_of
from lab.core.model import (
    Arrival,
    Burst,
    Capability,
    Paced,
    Periodic,
    Ranked,
    RoundTrip,
    Service,
    Topology,
)
from lab.planning import registry
from lab.providers import cgroups, compose_override
from lab.providers.cgroups import Inside, Meter, parse
from lab.providers.compose import ComposeCluster
from lab.providers.engine import docker
from lab.recording.server_stats import COMMANDS
from lab.validation.trial_row import Collected
from tests.cluster.containers import elsewhere, left_of, standing
from tests.contract.exactly_once import PRESENT_AGAIN, assert_exactly_once, may_raise
from tests.contract.test_backends import BUSY, coroutine_spec
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

TAKES = {Capability.SUBMIT, Capability.BATCH}
# More nodes, what is advised for a broker of which nothing else is like the first, and for a
# database that is met nowhere else.
FURTHER = [
    ("celery[prefork]", 4),
    ("celery[prefork+rabbitmq]", 1),
    ("celery[prefork+rabbitmq]", 4),
    ("celery[gevent+rabbitmq]@tuned", 2),
    ("django-q[orm+postgres]@tuned", 2),
]


def contract() -> Iterator[tuple[str, int]]:
    """Name every variant, on two nodes where it spans nodes."""
    for name, backend in registry.backends().items():
        # Those that take no tasks run what is scheduled and nothing else: see test_appointments.
        for variant in (v for v in backend.variants if v.capabilities & TAKES):
            yield f"{name}[{variant.name}]", 1 + (Capability.NODES in variant.capabilities)


EVERY = list(contract())
# A system's first that spans nodes runs on one node as well.
ON_ONE = [
    (label, 1)
    for label in {label.partition("[")[0]: label for label, n in reversed(EVERY) if n > 1}.values()
    if registry.select(label).backend.family != "reference"
]


CASES = [
    *((label, nodes, 1_000) for label, nodes in (*EVERY, *FURTHER)),
    # What has a thousand on two nodes needs no more than a hundred on one.
    *((label, nodes, 100) for label, nodes in ON_ONE),
    *((label, nodes, 100) for label, nodes in EVERY if label in PRESENT_AGAIN),
]


def busy_alone(label: str, nodes: int, n_tasks: int) -> Any:
    """Let what starts an interpreter for each task, and so uses all of both cores, run alone."""
    return pytest.param(label, nodes, n_tasks, marks=[pytest.mark.alone] * (label == BUSY))


@pytest.mark.parametrize(("label", "nodes", "n_tasks"), [busy_alone(*case) for case in CASES])
def test_each_task_of_every_kind_runs_exactly_once_in_containers(
    label: str, nodes: int, n_tasks: int, tmp_path: Path, misbehaving_inside: dict[str, str]
) -> None:
    """As in processes; all nodes work, and of the cluster nothing is left.

    The row tells servers and images; the samples, what each container uses and each server counts.
    """
    raises = may_raise(label) and not (label in PRESENT_AGAIN and n_tasks > 100)
    spec = spec_of(
        label,
        misbehaving_inside["MIXED"],
        Burst(n_tasks),
        Topology(nodes, 1, 1),
        size=int(raises),
        provider="compose",
        deadline_s=480.0,
    )
    made = run(tmp_path, spec)
    assert_exactly_once(made, raises=raises)
    assert set(made.tables["task"].query("phase == 'measure'").node) == set(range(nodes))
    assert left_of(os.getpid()) == []
    assert_all_is_told(made, nodes)


def assert_all_is_told(made: Collected, nodes: int) -> None:
    """The row names every server and image; samples and counters are there for each of them."""
    row, chosen = made.row, registry.select(made.row.label)
    servers = set(services_of(chosen.backend, chosen.variant))
    told = [about.split()[0] for about in row.services.split("; ") if about]
    assert sorted(told) == sorted(name.split("-")[0] for name in servers)
    assert row.images.count("@") == 1 + len(servers - {Service.DASK_SCHEDULER})
    own = [f"node{n}" for n in range(nodes)] if registry.has_own_workers(chosen) else []
    parts = {f"container:{name}" for name in ("driver", *servers, *own)}
    assert parts == {name for name in made.tables["sample"].source if ":" in name}
    if servers and servers <= set(COMMANDS):
        assert row.broker_commands is not None
        assert row.broker_commands >= row.n_done


@pytest.mark.alone  # a reading a second: beside others the worker still grows after the last one
def test_what_a_task_holds_is_found_in_a_container(tmp_path: Path) -> None:
    """50 MB that a worker keeps are 50 MB of PSS and of its group's anonymous memory, +- 5 %."""
    arrival, kib = Burst(3), 50_000_000 // 1_024
    spec = spec_of("celery[threads]", "hold", arrival, size=kib, warmup_tasks=0, provider="compose")
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason) == ("ok", "")
    samples = made.tables["sample"]
    for source, metric in (("workers", "pss_bytes"), ("container:node0", "anonymous_bytes")):
        own = samples[(samples.source == source) & (samples.metric == metric)].sort_values("t_ns")
        before = own[own.t_ns < made.row.t_begin_ns].value.iloc[-1]
        after = own[own.t_ns > made.row.t_end_ns].value.iloc[-1]
        assert after - before == pytest.approx(50e6, rel=0.05), source
    tasks = made.tables["task"]
    told = {metric.metric: metric for metric in trial_metrics(made.row, tasks, None, samples)}
    group, tree = (
        told[f"{name}_bytes_per_worker_peak"].value for name in ("anonymous", "working_set")
    )
    assert group is not None
    assert tree is not None
    assert 50e6 < group <= tree


def test_urgent_tasks_overtake_in_a_queue_of_rabbitmq_with_priorities(tmp_path: Path) -> None:
    """The last five to be offered are urgent, and start before most of those that waited."""
    label, arrival = "celery[prefork+rabbitmq+priorities]", Ranked(60, 5)
    made = run(tmp_path, spec_of(label, "io", arrival, size=20_000, provider="compose"))
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 60)
    started = made.tables["task"].query("phase == 'measure'").sort_values("t3_ns").task_id
    urgent = set(started.nlargest(5))
    assert urgent <= set(started.head(30))


def test_a_scheduler_has_a_container_and_what_it_needs_is_prepared(tmp_path: Path) -> None:
    """Its database has its tables, its jobs run, and what it uses is told apart from the nodes."""
    label, arrival = "celery-beat[django]", Periodic(2, 4, every_s=1.0)
    made = run(tmp_path, spec_of(label, arrival=arrival, provider="compose"))
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 2)
    assert "container:scheduler" in set(made.tables["sample"].source)
    assert left_of(os.getpid()) == []


@pytest.mark.parametrize(("workload", "arrival"), [("cpu", Burst(20)), ("payload", RoundTrip(20))])
def test_workloads_and_round_trips_pass_through_containers(
    workload: str, arrival: Arrival, tmp_path: Path
) -> None:
    """Bytes and answers come back right, and results reach the submitter."""
    label = "celery[threads+results]"
    row = run(tmp_path, spec_of(label, workload, arrival, size=500, provider="compose")).row
    assert (row.status, row.reason, row.n_done) == ("ok", "", 20)


def test_several_workers_of_a_node_share_its_container(tmp_path: Path) -> None:
    """A system with one process for each slot has them side by side, each with its own slot."""
    spec = spec_of("rq[simple-worker]", topology=Topology(1, 1, 3), provider="compose")
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason) == ("ok", "")
    assert made.tables["task"].worker.nunique() == 3
    assert {path.name.split("-")[1] for path in tmp_path.rglob("ledger/*.bin")} == {"0", "1", "2"}


def test_a_row_says_what_it_was_made_of_and_what_each_container_used(tmp_path: Path) -> None:
    """Servers, images with ids, CPU by role, and memory apart from page cache are told."""
    spec = spec_of("celery[prefork]", "cpu", Burst(300), size=2_000, provider="compose")
    made = run(tmp_path, spec)
    row, samples = made.row, made.tables["sample"]
    assert row.services.startswith("redis ")
    assert "(no persistence)" in row.services
    assert row.images.count("@") == 2
    assert all(len(image.partition("@")[2]) == 64 for image in row.images.split("; "))
    assert row.cpu_workers_ns is not None
    assert row.cpu_services_ns is not None
    # Tasks of 2 ms by the calibration of this machine, whoever else uses it.
    assert row.cpu_workers_ns > 300 * 2e6 / 3
    assert 0 < row.cpu_services_ns < row.cpu_workers_ns
    last = samples.groupby(["source", "metric"]).value.last()
    for name in ("driver", "node0", "redis"):
        used = last[f"container:{name}"]
        assert 0 < used["anonymous_bytes"] <= used["memory_bytes"]
        assert 0 < used["working_set_bytes"] <= used["memory_bytes"]
        assert used["received_bytes"] > 0
    assert last["host"]["sampler_cpu_s"] > 0
    assert (tmp_path / spec.id / "logs" / "node0.log").exists()


@pytest.mark.alone  # who gets less than half a CPU is never stopped for using more
@pytest.mark.parametrize(
    ("mode", "period_us"), [("cpuset", 0), ("quota", 100_000), ("quota", 20_000)]
)
def test_kat_12_only_whole_cores_keep_latency(
    mode: str, period_us: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task, half a CPU by the default period and by a short one: no latency of either (M22).

    The row carries how often the quota stopped its node, and keeps its throughput.
    """
    monkeypatch.setattr(compose_override, "PERIOD_US", period_us)
    topology = Topology(1, 1, 1, quota_cpus=0.5 if period_us else 0.0)
    arrival = Paced(30, 20.0)
    # Four fifths of a CPU: half of one is too little by any period.
    spec = spec_of("celery[threads]", "cpu", arrival, topology, 40_000, provider="compose")
    made = run(tmp_path, spec)
    tasks = made.tables["task"].query("phase == 'measure'")
    told = {metric.metric: metric for metric in trial_metrics(made.row, tasks)}
    latencies = {name: m for name, m in told.items() if name.startswith(("queue_", "end_to_end"))}
    p50s = [m.value is not None for name, m in latencies.items() if name.endswith("p50")]
    assert (made.row.status, made.row.node_mode) == ("ok", mode)
    assert p50s == [mode == "cpuset"] * 2
    assert told["throughput_per_s"].value
    if mode == "quota":
        assert made.row.throttle_ratio is not None
        assert 0.2 < made.row.throttle_ratio <= 1
        assert all("a quota stopped the nodes" in metric.method for metric in latencies.values())


def test_a_shell_inside_reads_what_the_host_reads(tmp_path: Path) -> None:
    """Of an engine elsewhere, control groups are read in the container: the same counters."""
    with standing(spec_of("thread-pool", provider="compose"), tmp_path) as cluster:
        part = cluster.parts["driver"]
        assert isinstance(part.meter, Meter)
        inside = Inside(part.id)
        seen, known = parse(inside()), part.meter.read()
        inside.close()
    assert seen.cpu_ns is not None
    assert known.cpu_ns is not None
    # The shell itself runs there, and uses a little.
    assert 0 <= known.cpu_ns - seen.cpu_ns < 0.2e9
    assert seen.working_set_bytes
    assert known.working_set_bytes
    assert seen.received_bytes is not None


def test_an_engine_elsewhere_serves_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By DOCKER_HOST alone, without a file of the engine's machine, a trial says the same."""
    monkeypatch.setattr(cgroups, "host_files", lambda *_: None)
    spec = spec_of("celery[prefork]", "cpu", Burst(100), size=2_000, provider="compose")
    with elsewhere() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        made = run(tmp_path, spec)
        assert left_of(os.getpid()) == []
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 100)
    assert made.row.cpu_workers_ns is not None
    assert made.row.cpu_workers_ns > 100 * 2e6 / 3
    last = made.tables["sample"].groupby(["source", "metric"]).value.last()
    assert last["container:redis"]["anonymous_bytes"] > 0
    assert last["container:node0"]["received_bytes"] > 0


def test_a_node_has_the_cpus_of_its_place(tmp_path: Path) -> None:
    """What the row says of CPUs is what the containers got."""
    spec = spec_of("celery[prefork]", topology=Topology(2, 1, 1), provider="compose")
    with standing(spec, tmp_path) as cluster:
        place = cluster.site.placement
        expected = {"driver": place.driver, "redis": place.services}
        expected |= {f"node{n}": cpus for n, cpus in enumerate(place.nodes)}
        seen = {name: allowed_cpus(cluster, name) for name in expected}
    assert seen == expected


def allowed_cpus(cluster: ComposeCluster, name: str) -> tuple[int, ...]:
    """Return the CPUs that a container's processes may use, by the kernel's own word."""
    told = docker("exec", cluster.parts[name].id, "cat", "/proc/self/status").decode()
    (line,) = [line for line in told.splitlines() if line.startswith("Cpus_allowed_list")]
    spans_of = [part.split("-") for part in line.split()[1].split(",")]
    return tuple(cpu for span in spans_of for cpu in range(int(span[0]), int(span[-1]) + 1))


@pytest.mark.parametrize("label", ["rq[worker]", "django-rq[worker]", "dask[distributed]"])
def test_a_coroutine_function_is_awaited_in_containers(label: str, tmp_path: Path) -> None:
    """By the systems that do so without our help."""
    spec = coroutine_spec(label, Burst(10), provider="compose")
    row = run(tmp_path, spec).row
    assert (row.status, row.reason, row.n_done, row.answers) == ("ok", "", 10, "inline call")
