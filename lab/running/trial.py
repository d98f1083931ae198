"""Runs one attempt at one trial: starts the cluster, follows the driver, stops the cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lab.core.backend import capabilities, services_of
from lab.core.durations import longest_s
from lab.core.errors import ClusterError
from lab.core.model import Capability, Job, Monitoring, Status, TrialSpec
from lab.core.placement import Placement
from lab.core.provider import Cluster, CpuUse, DriverProcess, TrialContext
from lab.core.serialization import TrialRequest, order_to_json
from lab.driver import readiness
from lab.environments import preparation
from lab.host import affinity, child_environment, interrupts, processes
from lab.planning import registry
from lab.planning.tasks import make_jobs
from lab.providers import PROVIDERS
from lab.recording import cpu_waits, host_counters
from lab.recording.cluster_sampler import ClusterSampler
from lab.recording.sample import Sample
from lab.results.schema import FaultRow
from lab.running import driver_pipe, killed_driver, logs
from lab.running.command_lines import command_lines
from lab.running.injector import Injector
from lab.running.supervisor import Restart, with_restarts
from lab.running.task_faults import task_rows

# Time for imports, start and stop of a driver, in addition to its deadlines.
SLACK_S = 60.0


@dataclass(frozen=True, slots=True)
class EdgeReading:
    """Readings of the machine and of CPU times at the start or end of a period.

    `threads` holds the threads of each role.
    """

    host: host_counters.HostReading
    cpu: CpuUse
    lab_ns: int
    threads: Mapping[str, cpu_waits.Threads]


@dataclass(slots=True)
class TrialObservation:
    """The lab's observations of one attempt, from outside the cluster.

    driver_code: return code of the driver, as `subprocess` reports it; None if the lab stopped it.
    died: the process of the cluster that had ended by then, with its reason; empty if none had.
    executed_ns: start of the first worker command, ns of CLOCK_MONOTONIC; None without one.
    begin, end, last: readings at the start of the window, its end, and the end of the
        uninstrumented burst.
    hits: one row for each hit of the fault, and for each that missed.
    restarts: of parts that ended after the first hit.
    leftovers: number of processes that remained and were killed.
    """

    spec: TrialSpec
    attempt: int
    folder: Path
    placement: Placement
    hash_seed: int
    started_utc: str
    status: Status = Status.OK
    reason: str = ""
    driver_code: int | None = None
    died: str = ""
    services: str = ""
    images: str = ""
    hosts: str = ""
    commands: str = ""
    executed_ns: int | None = None
    begin: EdgeReading | None = None
    end: EdgeReading | None = None
    last: EdgeReading | None = None
    samples: list[Sample] = field(default_factory=list)
    hits: list[FaultRow] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    trial_ns: int = 0
    leftovers: int = 0


def place(spec: TrialSpec) -> Placement:
    """Return the CPUs of each role of a trial."""
    chosen = registry.select(spec.label)
    return PROVIDERS[spec.provider].place(
        spec.topology,
        has_services=bool(services_of(chosen.backend, chosen.variant)),
        in_driver=not registry.has_worker_processes(chosen),
    )


def run_trial(
    spec: TrialSpec,
    attempt: int,
    folder: Path,
    on_phase: Callable[[str], None],
    instrumentation_ns: float | None = None,
) -> TrialObservation:
    """Run one attempt in `folder`; no process of it remains, whatever happens.

    With `instrumentation_ns`, the instrumentation cost of a task, a burst that recording slows down
    is offered again without (METHOD M19). A cluster that does not start, or that dies, yields a
    failed outcome with a reason. KeyboardInterrupt is raised after the cluster has stopped.
    """
    started = time.monotonic_ns()
    # Absolute, because processes of the trial have other current folders.
    outcome = _begun(spec, attempt, folder.absolute(), datetime.now(UTC))
    cluster = PROVIDERS[spec.provider](_site(outcome))
    # The lab runs beside driver and servers, so that it takes no CPU time from the workers.
    with interrupts.deferred(), affinity.confined(outcome.placement.lab):
        try:
            with interrupts.allowed():
                _drive(cluster, outcome, on_phase, instrumentation_ns)
        except (ClusterError, OSError) as error:
            outcome.status, outcome.reason = Status.FAILED, cluster.cause_of(error)
        finally:
            outcome.leftovers = cluster.down()
            # After the end of the cluster, because the records of containers are copied by then.
            outcome.hits = _complete_hits(outcome)
            logs.cut(outcome.folder / "logs")
            outcome.trial_ns = time.monotonic_ns() - started
    return outcome


def _drive(
    cluster: Cluster,
    outcome: TrialObservation,
    on_phase: Callable[[str], None],
    instrumentation_ns: float | None,
) -> None:
    """Start the cluster and the driver, and follow the driver until it ends."""
    on_phase("up")
    outcome.commands = command_lines(cluster.site.backend, cluster.up())
    outcome.services, outcome.images = cluster.services, cluster.images
    outcome.executed_ns, outcome.hosts = cluster.executed_ns, cluster.hosts
    order = TrialRequest(outcome.spec, instrumentation_ns, cluster.agents)
    (outcome.folder / "trial.json").write_text(json.dumps(order_to_json(order)))
    _follow(cluster, cluster.start_driver(), outcome, on_phase)
    if reason := logs.overflow(outcome.folder / "logs"):
        outcome.status, outcome.reason = Status.FAILED, reason
    is_complete = outcome.status == Status.OK and killed_driver.is_expected(cluster, outcome.hits)
    if is_complete and (reason := killed_driver.conclude(cluster)):
        outcome.status, outcome.reason = Status.FAILED, reason


def _complete_hits(outcome: TrialObservation) -> list[FaultRow]:
    """Add the hits of tasks, whose ledgers are complete now, and the restarts."""
    begin, ledger = outcome.begin, outcome.folder / "ledger"
    tasks = task_rows(outcome.spec, begin.host.t_ns, ledger) if begin else ()
    return with_restarts([*outcome.hits, *tasks], outcome.restarts)


def killed(spec: TrialSpec, attempt: int, folder: Path) -> TrialObservation:
    """Return the outcome of an attempt whose lab was killed, for the files in its folder."""
    outcome = _begun(spec, attempt, folder, datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    outcome.status = Status.INTERRUPTED
    outcome.reason = "The lab was stopped during this trial; `lab bench --resume` runs it again."
    return outcome


def failed(spec: TrialSpec, attempt: int, folder: Path, reason: str) -> TrialObservation:
    """Return the outcome of an attempt that failed because of a defect of the lab."""
    outcome = _begun(spec, attempt, folder, datetime.now(UTC))
    outcome.status, outcome.reason = Status.FAILED, reason
    return outcome


def not_run(spec: TrialSpec, reason: str) -> TrialObservation:
    """Return the outcome of a configuration that its backend does not support."""
    return TrialObservation(spec, 1, Path(), place(spec), 0, "", Status.SKIPPED, reason)


def _begun(spec: TrialSpec, attempt: int, folder: Path, at: datetime) -> TrialObservation:
    # Differs between trials (METHOD M2), and follows from the spec, so that a rerun has the same.
    hash_seed = (spec.seed + attempt) % 2**32
    started = at.isoformat(timespec="seconds")
    return TrialObservation(spec, attempt, folder, place(spec), hash_seed, started)


def _site(outcome: TrialObservation) -> TrialContext:
    environment = {
        processes.OWNER: processes.owner(),
        processes.TRIAL: f"{outcome.spec.id}-{outcome.attempt}",
        "PYTHONHASHSEED": str(outcome.hash_seed),
    }
    spec = outcome.spec
    # In containers, the environment is the image.
    is_on_host = PROVIDERS[spec.provider].is_on_host
    interpreter = preparation.of_trial(spec.label, spec.environment if is_on_host else "")
    environment |= preparation.variables(interpreter)
    outcome.folder.mkdir(parents=True)
    return TrialContext(
        spec,
        registry.select(spec.label).backend,
        outcome.folder,
        outcome.placement,
        environment,
        jobs_of(spec),
        passed=child_environment.passed(spec.pass_env),
        has_users_code=registry.is_foreign(spec.label, spec.workload),
        python=interpreter.python,
    )


def jobs_of(spec: TrialSpec) -> tuple[Job, ...]:
    """Return the jobs of a periodic trial; empty for other trials."""
    _, module = registry.workload(spec.workload)
    promised = capabilities(registry.select(spec.label).backend, spec.variant)
    return make_jobs(module, spec, as_coroutines=Capability.COROUTINES in promised)


def _follow(
    cluster: Cluster,
    driver: DriverProcess,
    outcome: TrialObservation,
    on_phase: Callable[[str], None],
) -> None:
    """Follow the driver's lines to its end, and take readings at its gates."""
    spec = outcome.spec
    # The driver waits `deadline_s` at most five times: warm-up, offers, drain, two more bursts.
    deadline = time.monotonic() + SLACK_S + readiness.DEADLINE_S + 5 * spec.deadline_s
    deadline += longest_s(spec.arrival)
    gauges, edges = ClusterSampler(cluster, spec.arrival), list[Sample]()
    sampler = host_counters.Sampler(gauges.in_the_window)
    injector = Injector(cluster, spec)
    try:
        for word in driver_pipe.lines(driver):
            if word == "gate verified":
                cluster.prove()
            elif word == "gate measure":
                _read_monitor(cluster, outcome)
                edges += gauges.at_the_edge()
                outcome.begin = _reading(cluster)
                sampler.start()
                injector.start(time.monotonic_ns())
            elif word == "gate drained":
                # First: a hit must not end a process while its counters are read.
                injector.stop()
                outcome.end = _reading(cluster)
                sampler.stop()
                edges += gauges.at_the_edge()
            elif word == "gate again":
                outcome.last = _reading(cluster)
            elif word:
                on_phase(word)
            elif stopped := _stopped(cluster, outcome.folder, deadline):
                outcome.status, outcome.reason = stopped
                return
            if word.startswith("gate "):
                driver_pipe.go(driver)
            if word == "ended":
                break
        outcome.driver_code = driver.wait(SLACK_S)
        outcome.died = cluster.failure() or ""
    finally:
        outcome.samples = [*edges, *sampler.stop()]
        outcome.hits, outcome.restarts = injector.stop(), injector.supervisor.restarts


def _stopped(cluster: Cluster, folder: Path, deadline: float) -> tuple[Status, str] | None:
    """Return status and reason of a trial that must stop while its driver is silent, else None."""
    if reason := cluster.failure() or logs.overflow(folder / "logs"):
        return Status.FAILED, reason
    timeout = Status.TIMEOUT, "The driver did not end in time."
    return timeout if time.monotonic() > deadline else None


def _read_monitor(cluster: Cluster, outcome: TrialObservation) -> None:
    """Save the output of the backend's monitor, if the arrival requires it."""
    if isinstance(outcome.spec.arrival, Monitoring):
        (outcome.folder / "monitor.txt").write_text(cluster.monitor(), encoding="utf-8")


def _reading(cluster: Cluster) -> EdgeReading:
    roles = cluster.processes()
    threads = {role: cpu_waits.thread_times(pids) for role, pids in roles.items()}
    cpu = cluster.cpu(roles)
    return EdgeReading(host_counters.read_host(), cpu, time.process_time_ns(), threads)
