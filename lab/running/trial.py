"""Runs one attempt at one trial: cluster up, driver through its phases, cluster down."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import IO

from lab.core import placement
from lab.core.backend import capabilities, services_of
from lab.core.durations import longest_s
from lab.core.errors import ClusterError
from lab.core.model import Abandoned, Capability, Job, Monitored, Status, TrialSpec
from lab.core.placement import Placement
from lab.core.provider import Cluster, CpuUse, Site
from lab.core.serialization import Order, order_to_json
from lab.driver import readiness
from lab.host import child_environment, interrupts, processes
from lab.planning import registry
from lab.planning.phases import ids_of
from lab.planning.tasks import make_jobs
from lab.providers import PROVIDERS
from lab.recording import host_counters
from lab.recording.cluster_sampler import Gauges
from lab.recording.ledger_reader import Watcher
from lab.running import logs
from lab.worker.ledger import MEASURE

LOOK_S = 0.25
# Beside deadlines of its own, a driver may take this long for imports, booting and stopping.
SLACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine and our own CPU use at one edge of the window."""

    host: host_counters.HostReading
    cpu: CpuUse
    lab_ns: int


@dataclass(slots=True)
class Outcome:
    """What one attempt looked like from outside its cluster.

    `driver_code` is how the driver ended, as `subprocess` gives it; `died` says what of the cluster
    had ended by then.

    Readings are of the window's begin and end, and of when its burst had been offered again.
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
    executed_ns: int | None = None
    begin: Reading | None = None
    end: Reading | None = None
    last: Reading | None = None
    samples: list[host_counters.Sample] = field(default_factory=list)
    trial_ns: int = 0
    leftovers: int = 0


def place(spec: TrialSpec) -> Placement:
    """Return which CPUs each role of a trial gets on this machine."""
    chosen = registry.select(spec.label)
    return placement.place(
        placement.available_cpus(),
        spec.topology,
        has_services=bool(services_of(chosen.backend, chosen.variant)),
        in_driver=not registry.has_own_workers(chosen),
    )


def run(
    spec: TrialSpec,
    attempt: int,
    folder: Path,
    on_phase: Callable[[str], None],
    harness_ns: float | None = None,
) -> Outcome:
    """Run one attempt in `folder`, and leave no process behind, whatever happens.

    Where `harness_ns` tells what the record of a task costs, a burst that it slows down is offered
    again without (METHOD M19). A cluster that does not come up or dies makes an outcome with its
    reason; KeyboardInterrupt passes through once everything is down.
    """
    started = time.monotonic_ns()
    # Processes of the trial have other current folders.
    outcome = _begun(spec, attempt, folder.absolute(), datetime.now(UTC))
    cluster = PROVIDERS[spec.provider](_site(outcome))
    with interrupts.deferred():
        try:
            with interrupts.allowed():
                _drive(cluster, outcome, on_phase, harness_ns)
        except (ClusterError, OSError) as error:
            outcome.status, outcome.reason = Status.FAILED, " ".join(str(error).split())
        finally:
            outcome.leftovers = cluster.down()
            logs.cut(outcome.folder / "logs")
            outcome.trial_ns = time.monotonic_ns() - started
    return outcome


def _drive(
    cluster: Cluster,
    outcome: Outcome,
    on_phase: Callable[[str], None],
    harness_ns: float | None,
) -> None:
    """Bring the cluster up and take the driver through its phases."""
    on_phase("up")
    cluster.up()
    outcome.services, outcome.images = cluster.services, cluster.images
    outcome.executed_ns = cluster.executed_ns
    order = Order(outcome.spec, harness_ns)
    (outcome.folder / "trial.json").write_text(json.dumps(order_to_json(order)))
    _follow(cluster, cluster.start_driver(), outcome, on_phase)
    if reason := logs.overflow(outcome.folder / "logs"):
        outcome.status, outcome.reason = Status.FAILED, reason
    if isinstance(outcome.spec.arrival, Abandoned) and outcome.status == Status.OK:
        _outlive(cluster, outcome)


def killed(spec: TrialSpec, attempt: int, folder: Path) -> Outcome:
    """Describe an attempt that ended with the lab that ran it, from what lies in its folder."""
    outcome = _begun(spec, attempt, folder, datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    outcome.status = Status.INTERRUPTED
    outcome.reason = "The lab was stopped during this trial; `lab bench --resume` runs it again."
    return outcome


def failed(spec: TrialSpec, attempt: int, folder: Path, reason: str) -> Outcome:
    """Describe an attempt that a defect of the lab ended."""
    outcome = _begun(spec, attempt, folder, datetime.now(UTC))
    outcome.status, outcome.reason = Status.FAILED, reason
    return outcome


def not_run(spec: TrialSpec, reason: str) -> Outcome:
    """Describe a configuration that its backend cannot take."""
    return Outcome(spec, 1, Path(), place(spec), 0, "", Status.SKIPPED, reason)


def _begun(spec: TrialSpec, attempt: int, folder: Path, at: datetime) -> Outcome:
    seed, started = _hash_seed(spec, attempt), at.isoformat(timespec="seconds")
    return Outcome(spec, attempt, folder, place(spec), seed, started)


def _hash_seed(spec: TrialSpec, attempt: int) -> int:
    # Another one for each trial (METHOD M2), and a pure function, so that a row can be repeated.
    return (spec.seed + attempt) % 2**32


def _site(outcome: Outcome) -> Site:
    environment = {
        processes.OWNER: processes.owner(),
        processes.TRIAL: f"{outcome.spec.id}-{outcome.attempt}",
        "PYTHONHASHSEED": str(outcome.hash_seed),
    }
    spec = outcome.spec
    outcome.folder.mkdir(parents=True)
    return Site(
        spec,
        registry.select(spec.label).backend,
        outcome.folder,
        outcome.placement,
        environment,
        jobs_of(spec),
        passed=child_environment.passed(spec.pass_env),
        has_users_code=registry.is_foreign(spec.label, spec.workload),
    )


def jobs_of(spec: TrialSpec) -> tuple[Job, ...]:
    """Return the jobs that a trial's system is to keep; none unless it is periodic."""
    _, module = registry.workload(spec.workload)
    promised = capabilities(registry.select(spec.label).backend, spec.variant)
    return make_jobs(module, spec, as_coroutines=Capability.COROUTINES in promised)


def _follow(
    cluster: Cluster, driver: Popen[bytes], outcome: Outcome, on_phase: Callable[[str], None]
) -> None:
    """Follow the driver's words to its end; take readings where it waits for them."""
    spec = outcome.spec
    deadline = time.monotonic() + SLACK_S + readiness.DEADLINE_S + 5 * spec.deadline_s
    deadline += longest_s(spec.arrival)
    gauges, edges = Gauges(cluster, spec.arrival), list[host_counters.Sample]()
    sampler = host_counters.Sampler(gauges.in_the_window)
    try:
        for word in _words(driver):
            if word == "gate verified":
                cluster.prove()
            elif word == "gate measure":
                _ask_monitor(cluster, outcome)
                edges += gauges.at_the_edge()
                outcome.begin = _reading(cluster)
                sampler.start()
            elif word == "gate drained":
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
                _go(driver)
            if word == "ended":
                break
        outcome.driver_code = driver.wait(SLACK_S)
        outcome.died = cluster.failure() or ""
    finally:
        outcome.samples = [*edges, *sampler.stop()]


def _stopped(cluster: Cluster, folder: Path, deadline: float) -> tuple[Status, str] | None:
    """Say how a trial whose driver is silent has ended, and why; None while it goes on."""
    if reason := cluster.failure() or logs.overflow(folder / "logs"):
        return Status.FAILED, reason
    if time.monotonic() > deadline:
        return Status.TIMEOUT, "The driver did not end in time."
    return None


def _ask_monitor(cluster: Cluster, outcome: Outcome) -> None:
    """Ask the system's own monitor where the arrival wants that, and keep its answer."""
    if isinstance(outcome.spec.arrival, Monitored):
        (outcome.folder / "monitor.txt").write_text(cluster.monitor(), encoding="utf-8")


def _outlive(cluster: Cluster, outcome: Outcome) -> None:
    """Give the tasks of a submitter that was killed their time."""
    spec, deadline = outcome.spec, time.monotonic() + outcome.spec.deadline_s
    watcher = Watcher(outcome.folder / "ledger", ids_of(MEASURE))
    while watcher.count() < spec.arrival.n_tasks and time.monotonic() < deadline:
        if reason := cluster.failure():
            outcome.status, outcome.reason = Status.FAILED, reason
            return
        time.sleep(LOOK_S)


def _words(driver: Popen[bytes]) -> Iterator[str]:
    """Yield each line the driver says, and an empty one whenever it has been silent."""
    descriptor = _open(driver.stdout).fileno()
    os.set_blocking(descriptor, False)
    buffered = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(LOOK_S):
                # A pool's child may hold the pipe open after the driver's end.
                if driver.poll() is not None:
                    return
                yield ""
                continue
            if not (chunk := os.read(descriptor, 4_096)):
                return
            *lines, buffered = (buffered + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines if line)


def _go(driver: Popen[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # it died; the end of its words tells that
        _open(driver.stdin).write(b"go\n")


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ClusterError("The provider started the driver without pipes.")
    return pipe


def _reading(cluster: Cluster) -> Reading:
    cpu = cluster.cpu()
    return Reading(host_counters.read_host(), cpu, time.process_time_ns())
