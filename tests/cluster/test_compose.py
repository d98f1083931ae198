"""Tests the contract of all backends in containers: the same trials with the other provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.backend import services_of
from lab.core.model import (
    Arrival,
    Burst,
    Capability,
    Paced,
    Periodic,
    Priority,
    RoundTrip,
    Service,
    Topology,
)
from lab.planning import registry
from lab.providers import cgroups, compose_override, container_process
from lab.providers.cgroups import CgroupShell, Meter, parse
from lab.providers.compose import ComposeCluster
from lab.recording.server_stats import COMMANDS
from lab.validation.trial_row import TrialResult
from tests.cluster.containers import elsewhere, left_of, standing
from tests.contract.exactly_once import (
    APART,
    BUSY,
    REDELIVERING,
    assert_exactly_once,
    may_raise,
    representative,
    workload_of,
)
from tests.contract.test_backends import coroutine_spec
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

TAKES = {Capability.SUBMIT, Capability.BATCH}
# More nodes, and the tuned profiles of a broker and a database that no other case covers.
FURTHER = [
    ("celery[prefork]", 4),
    ("celery[prefork+rabbitmq]", 1),
    ("celery[prefork+rabbitmq]", 4),
    ("celery[gevent+rabbitmq]@tuned", 2),
    ("django-q[orm+postgres]@tuned", 2),
    ("dramatiq[processes+rabbitmq+priorities]", 1),
]


def contract() -> Iterator[tuple[str, int]]:
    """Yield every variant and its number of nodes: two if it supports them."""
    # The image has the Python and the packages of the lab.
    everything = registry.backends().items()
    usable = {n: b for n, b in everything if not registry.needed_python(b) and n not in APART}
    for name, backend in usable.items():
        # Schedulers accept no tasks and are tested in test_appointments.
        variants = {v.name: v for v in backend.variants if v.capabilities & TAKES}
        for label in representative(name, list(variants)):
            variant = variants[registry.select(label).variant]
            yield label, 1 + (Capability.NODES in variant.capabilities)


EVERY = list(contract())
# The first variant of each backend that supports several nodes runs on one node as well.
ON_ONE = [
    (label, 1)
    for label in {label.partition("[")[0]: label for label, n in reversed(EVERY) if n > 1}.values()
    if registry.select(label).backend.family != "reference"
]


CASES = [
    *((label, nodes, 200 if label == BUSY else 1_000) for label, nodes in (*EVERY, *FURTHER)),
    # These have 1 000 tasks on two nodes already, so 100 tasks on one node are enough: a second
    # node that polls may get none of them.
    *dict.fromkeys(
        (label, 1, 100) for label, _ in (*ON_ONE, *(e for e in EVERY if e[0] in REDELIVERING))
    ),
]


@pytest.mark.parametrize(("label", "nodes", "n_tasks"), CASES)
def test_each_task_of_every_kind_runs_exactly_once_in_containers(
    label: str, nodes: int, n_tasks: int, tmp_path: Path, misbehaving_inside: dict[str, str]
) -> None:
    """All nodes work, no object remains in the engine, and row and samples are complete."""
    raises = may_raise(label) and not (label in REDELIVERING and n_tasks > 100)
    spec = spec_of(
        label,
        misbehaving_inside[workload_of(label)],
        Burst(n_tasks),
        Topology(nodes, 1, 1),
        size=int(raises),
        provider="compose",
        deadline_s=480.0,
    )
    result = run(tmp_path, spec)
    assert_exactly_once(result, raises=raises)
    assert set(result.tables["task"].query("phase == 'measure'").node) == set(range(nodes))
    assert left_of(os.getpid()) == []
    assert_row_and_samples_are_complete(result, nodes)


def assert_row_and_samples_are_complete(result: TrialResult, nodes: int) -> None:
    """Assert that the row names all servers and images, and that all have samples and counters."""
    row, chosen = result.row, registry.select(result.row.label)
    servers = set(services_of(chosen.backend, chosen.variant))
    names = [about.split()[0] for about in row.services.split("; ") if about]
    assert sorted(names) == sorted(name.split("-")[0] for name in servers)
    assert row.images.count("@") == 1 + len(servers - {Service.DASK_SCHEDULER})
    node_names = [f"node{n}" for n in range(nodes)] if registry.has_worker_processes(chosen) else []
    parts = {f"container:{name}" for name in ("driver", *servers, *node_names)}
    assert parts == {name for name in result.tables["sample"].source if ":" in name}
    if servers and servers <= set(COMMANDS):
        assert row.broker_commands is not None
        assert row.broker_commands >= row.n_done


@pytest.mark.alone  # one reading per second: under load the worker still grows after the last one
def test_memory_of_a_worker_is_measured_in_a_container(tmp_path: Path) -> None:
    """50 MB that a task keeps are 50 MB of PSS and of the group's anonymous memory, +- 5 %."""
    arrival, kib = Burst(3), 50_000_000 // 1_024
    spec = spec_of("celery[threads]", "hold", arrival, size=kib, warmup_tasks=0, provider="compose")
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason) == ("ok", "")
    samples = result.tables["sample"]
    for source, metric in (("workers", "pss_bytes"), ("container:node0", "anonymous_bytes")):
        values = samples[(samples.source == source) & (samples.metric == metric)]
        # The smallest, because the shell that reads the files is in the group for an instant.
        before = values[values.t_ns < result.row.t_begin_ns].value.min()
        after = values[values.t_ns > result.row.t_end_ns].value.min()
        assert after - before == pytest.approx(50e6, rel=0.05), source
    tasks = result.tables["task"]
    metrics = {metric.metric: metric for metric in trial_metrics(result.row, tasks, None, samples)}
    group, tree = (
        metrics[f"{name}_bytes_per_worker_peak"].value for name in ("anonymous", "working_set")
    )
    assert group is not None
    assert tree is not None
    assert 50e6 < group <= tree


def test_urgent_tasks_overtake_others_in_a_priority_queue_of_rabbitmq(tmp_path: Path) -> None:
    """The last five offered tasks are urgent, and start before most of the waiting ones."""
    label, arrival = "celery[prefork+rabbitmq+priorities]", Priority(60, 5)
    result = run(tmp_path, spec_of(label, "io", arrival, size=20_000, provider="compose"))
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 60)
    started = result.tables["task"].query("phase == 'measure'").sort_values("t3_ns").task_id
    urgent = set(started.nlargest(5))
    assert urgent <= set(started.head(30))


def test_a_scheduler_has_a_container_with_a_prepared_database(tmp_path: Path) -> None:
    """Its jobs run, and its use is sampled separately from that of the nodes."""
    label, arrival = "celery-beat[django]", Periodic(2, 4, every_s=1.0)
    result = run(tmp_path, spec_of(label, arrival=arrival, provider="compose"))
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 2)
    assert "container:scheduler" in set(result.tables["sample"].source)
    assert left_of(os.getpid()) == []


@pytest.mark.parametrize(("workload", "arrival"), [("cpu", Burst(20)), ("payload", RoundTrip(20))])
def test_workloads_and_round_trips_pass_through_containers(
    workload: str, arrival: Arrival, tmp_path: Path
) -> None:
    """Answers are right, and results reach the driver."""
    label = "celery[threads+results]"
    row = run(tmp_path, spec_of(label, workload, arrival, size=500, provider="compose")).row
    assert (row.status, row.reason, row.n_done) == ("ok", "", 20)


def test_several_workers_of_a_node_share_its_container(tmp_path: Path) -> None:
    """A backend with one process per slot runs them in one container, each with its slot number."""
    spec = spec_of("rq[simple-worker]", topology=Topology(1, 1, 3), provider="compose")
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason) == ("ok", "")
    assert result.tables["task"].worker.nunique() == 3
    assert {path.name.split("-")[1] for path in tmp_path.rglob("ledger/*.bin")} == {"0", "1", "2"}


def test_a_row_has_servers_images_and_the_use_of_each_container(tmp_path: Path) -> None:
    """Images have their ids, CPU is split by role, and memory excludes the page cache."""
    spec = spec_of("celery[prefork]", "cpu", Burst(300), size=2_000, provider="compose")
    result = run(tmp_path, spec)
    row, samples = result.row, result.tables["sample"]
    assert row.services.startswith("redis ")
    assert "(no persistence)" in row.services
    assert row.images.count("@") == 2
    assert all(len(image.partition("@")[2]) == 64 for image in row.images.split("; "))
    assert row.cpu_workers_ns is not None
    assert row.cpu_services_ns is not None
    # The tasks are calibrated to 2 ms; other processes may slow the calibration down.
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


@pytest.mark.alone  # a node that gets less than half a CPU is never throttled
@pytest.mark.parametrize(
    ("mode", "period_us"), [("cpuset", 0), ("quota", 100_000), ("quota", 20_000)]
)
def test_kat_12_only_whole_cores_keep_latency(
    mode: str, period_us: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a quota of half a CPU no latency is reported, for a long and a short period (M22).

    The row has the share of throttled periods, and the throughput is still reported.
    """
    monkeypatch.setattr(compose_override, "PERIOD_US", period_us)
    topology = Topology(1, 1, 1, quota_cpus=0.5 if period_us else 0.0)
    arrival = Paced(30, 20.0)
    # The load is four fifths of a CPU, so half of one is too little for any period.
    spec = spec_of("celery[threads]", "cpu", arrival, topology, 40_000, provider="compose")
    result = run(tmp_path, spec)
    tasks = result.tables["task"].query("phase == 'measure'")
    metrics = {metric.metric: metric for metric in trial_metrics(result.row, tasks)}
    starts = ("queue_", "end_to_end")
    latencies = {name: m for name, m in metrics.items() if name.startswith(starts)}
    p50s = [m.value is not None for name, m in latencies.items() if name.endswith("p50")]
    assert (result.row.status, result.row.node_mode) == ("ok", mode)
    assert p50s == [mode == "cpuset"] * 2
    assert metrics["throughput_per_s"].value
    if mode == "quota":
        assert result.row.throttle_ratio is not None
        assert 0.2 < result.row.throttle_ratio <= 1
        assert all("a quota stopped the nodes" in metric.method for metric in latencies.values())


def test_a_shell_inside_reads_what_the_host_reads(tmp_path: Path) -> None:
    """If the engine is elsewhere, control groups are read in the container: the same counters."""
    with standing(spec_of("thread-pool", provider="compose"), tmp_path) as cluster:
        part = cluster.parts["driver"]
        assert isinstance(part.meter, Meter)
        inside = CgroupShell(part.id)
        by_shell, by_host = parse(inside()), part.meter.read()
        inside.close()
    assert by_shell.cpu_ns is not None
    assert by_host.cpu_ns is not None
    # The shell runs in the container and uses some CPU time.
    assert 0 <= by_host.cpu_ns - by_shell.cpu_ns < 0.2e9
    assert by_shell.working_set_bytes
    assert by_host.working_set_bytes
    assert by_shell.received_bytes is not None


def test_a_trial_runs_on_a_remote_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DOCKER_HOST alone, without files of the engine's machine, the row is as complete."""
    monkeypatch.setattr(cgroups, "host_files", lambda *_: None)
    spec = spec_of("celery[prefork]", "cpu", Burst(100), size=2_000, provider="compose")
    with elsewhere() as remote:
        monkeypatch.setenv("DOCKER_HOST", remote.address)
        result = run(tmp_path, spec)
        assert left_of(os.getpid()) == []
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 100)
    assert result.row.cpu_workers_ns is not None
    assert result.row.cpu_workers_ns > 100 * 2e6 / 3
    last = result.tables["sample"].groupby(["source", "metric"]).value.last()
    assert last["container:redis"]["anonymous_bytes"] > 0
    assert last["container:node0"]["received_bytes"] > 0


def test_containers_have_the_cpus_of_their_placement(tmp_path: Path) -> None:
    """The kernel's list of allowed CPUs equals the placement in the row."""
    spec = spec_of("celery[prefork]", topology=Topology(2, 1, 1), provider="compose")
    with standing(spec, tmp_path) as cluster:
        place = cluster.site.placement
        expected = {"driver": place.driver, "redis": place.services}
        expected |= {f"node{n}": cpus for n, cpus in enumerate(place.nodes)}
        allowed = {name: allowed_cpus(cluster, name) for name in expected}
    assert allowed == expected


def allowed_cpus(cluster: ComposeCluster, name: str) -> tuple[int, ...]:
    """Return the CPUs that a container's processes may use, as the kernel lists them."""
    status = container_process.run(cluster.parts[name].id, "cat", "/proc/self/status").decode()
    (line,) = [line for line in status.splitlines() if line.startswith("Cpus_allowed_list")]
    spans_of = [part.split("-") for part in line.split()[1].split(",")]
    return tuple(cpu for span in spans_of for cpu in range(int(span[0]), int(span[-1]) + 1))


@pytest.mark.parametrize("label", ["rq[worker]", "django-rq[worker]", "dask[distributed]"])
def test_a_coroutine_function_is_awaited_in_containers(label: str, tmp_path: Path) -> None:
    """These backends await coroutine functions themselves."""
    spec = coroutine_spec(label, Burst(10), provider="compose")
    row = run(tmp_path, spec).row
    assert (row.status, row.reason, row.n_done, row.answer_check) == ("ok", "", 10, "inline call")
