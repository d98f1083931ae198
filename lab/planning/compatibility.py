"""Decides whether a backend and a provider can run a trial, and returns the reason if not.

A reason names neither the system nor the fault, which the row of a skipped trial has in columns:
equal reasons have equal texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab import backends
from lab.core import fire_times
from lab.core.backend import Backend, capabilities, services_of, variant_of
from lab.core.faults import Fault, FaultKind, Persistence, Role
from lab.core.model import (
    Arrival,
    Burst,
    Capability,
    Chain,
    ClientCrash,
    FanOut,
    Monitoring,
    Paced,
    Periodic,
    Priority,
    Retry,
    RoundTrip,
    Serializer,
    Service,
    TrialSpec,
)
from lab.core.preflight import FUNCTION, PreflightResult
from lab.planning import fault_tasks, registry

# The workload whose tasks raise the first time they run.
FLAKY = "flaky"
AWAITING = frozenset({Capability.COROUTINES, Capability.AWAITS})
SCHEDULES = frozenset({Capability.SCHEDULE, Capability.RESCHEDULE})
# The capability that an arrival requires, and the end of the sentence about a backend without it.
REQUIRED: Mapping[type[Arrival], tuple[Capability, str]] = {
    RoundTrip: (
        Capability.RESULT,
        "returns no result to the submitter, so there is no round trip",
    ),
    Retry: (Capability.RETRY, "does not retry by itself"),
    FanOut: (Capability.GROUP, "has no join for a group of tasks"),
    Chain: (Capability.CHAIN, "has no chains of tasks"),
    Priority: (Capability.PRIORITY, "has no priorities"),
    Monitoring: (Capability.MONITOR, "has no monitor"),
}

# The next step if the provider lacks a server that it could have.
REMEDIES: Mapping[str, str] = {
    Service.CRON: "Run: sudo apt install cron; sudo service cron start",
}


def unsupported_reason(
    spec: TrialSpec,
    offers: frozenset[Service],
    preflight: PreflightResult | None = None,
    *,
    is_on_host: bool = True,
    shares_files: bool = True,
) -> str | None:
    """Return in one sentence why a trial cannot run; None if it can.

    Args:
        spec: The trial.
        offers: The servers of the provider.
        preflight: The result of the inline calls, if the task is a user's function.
        is_on_host: Whether the provider's clusters are processes of this machine.
        shares_files: Whether driver and nodes of its clusters have a folder in common.
    """
    if not shares_files and _has_file(spec.label):
        return f"The system keeps its tasks in a file, which provider {spec.provider} cannot share."
    return next(_reasons(spec, offers, preflight, is_on_host=is_on_host), None)


def _reasons(
    spec: TrialSpec,
    offers: frozenset[Service],
    preflight: PreflightResult | None,
    *,
    is_on_host: bool,
) -> Iterator[str]:
    chosen = registry.select(spec.label)
    promised = capabilities(chosen.backend, chosen.variant)
    yield from _reasons_of_environment(chosen.backend, spec.environment)
    lacking = " and ".join(sorted(set(services_of(chosen.backend, chosen.variant)) - offers))
    if lacking:
        other = (
            "Add --provider compose, which has it in a container." if is_on_host else "Try another."
        )
        remedy = REMEDIES.get(lacking, other)
        yield f"The system needs {lacking}, which provider {spec.provider} lacks. {remedy}"
    if spec.fault is not None:
        yield from _reasons_of_fault(chosen, spec, spec.fault.kind)
        yield from _reasons_of_scheduler(chosen, spec, spec.fault.kind, is_on_host=is_on_host)
        yield from _reasons_of_disk(chosen, spec, spec.fault)
        yield from _reasons_of_clock(chosen, spec.fault.kind)
    if isinstance(spec.arrival, Periodic):
        yield from _reasons_of_jobs(chosen.backend, promised, spec, spec.arrival)
    else:
        yield from _reasons_of_tasks(promised, spec)
    if preflight is not None:
        yield from _reasons_of_user_function(promised, spec, preflight)
    if isinstance(spec.arrival, ClientCrash | Monitoring) and not is_on_host:
        yield f"A burst is {spec.arrival.kind} on provider local only."
    if spec.topology.nodes > 1 and Capability.NODES not in promised:
        yield "The system runs on one machine and cannot span nodes."
    # The driver would be stopped in the middle of a period, and could not keep the plan's instants.
    if spec.topology.quota_cpus and not registry.has_worker_processes(chosen):
        yield "The system executes tasks in the driver, which must not have a CPU quota."
    if spec.topology.workers > 1 and Capability.PARALLEL not in promised:
        yield "The system has one worker slot."
    if spec.topology.drivers > 1:
        yield from _reasons_of_drivers(chosen, spec)


def _reasons_of_drivers(chosen: registry.SelectedBackend, spec: TrialSpec) -> Iterator[str]:
    """Yield why several drivers cannot divide the tasks of a trial."""
    if not isinstance(spec.arrival, Burst | Paced):
        yield f"Several drivers offer bursts and paced tasks, and not arrival {spec.arrival.kind}."
    if not registry.has_worker_processes(chosen):
        yield "The system executes tasks in the driver: two drivers would be two systems."
    if spec.fault is not None:
        yield "A fault needs one driver, whose tasks it follows."


def _has_file(label: str) -> bool:
    """Return whether the workers of a system find its tasks without a server."""
    chosen = registry.select(label)
    servers = services_of(chosen.backend, chosen.variant)
    return not servers and registry.has_worker_processes(chosen)


def _reasons_of_environment(backend: type[Backend], environment: str) -> Iterator[str]:
    """Yield why a backend cannot run in an environment."""
    if version := registry.needed_python(backend, environment):
        yield f"The system needs Python {version} or newer. Add --python {version}."
    if environment and not backend.__module__.startswith(f"{backends.__name__}."):
        yield "The system is in another package, which environments of the lab do not contain."


def _reasons_of_jobs(
    backend: type[Backend],
    promised: frozenset[Capability],
    spec: TrialSpec,
    arrival: Periodic,
) -> Iterator[str]:
    if not promised & SCHEDULES:
        yield "The system runs no jobs at set times."
    if arrival.is_removed and Capability.RESCHEDULE not in promised:
        yield "The system cannot remove jobs while it runs."
    if fire_times.period_s(arrival) < backend.finest_period_s:
        yield f"The system has no period under {backend.finest_period_s:g} s."
    if arrival.cron != "" and not backend.reads_cron:
        yield "The system reads no cron lines."
    if _takes_bytes(spec.workload):
        yield f"A task of {spec.workload} takes bytes, which jobs cannot: they are written as JSON."


def _takes_bytes(workload: str) -> bool:
    """Return whether the argument of a task is bytes; that of one shows the type of all."""
    # The smallest size makes it cheap.
    return isinstance(registry.workload(workload)[1].argument(1, 0), bytes)


def _reasons_of_tasks(promised: frozenset[Capability], spec: TrialSpec) -> Iterator[str]:
    arrival = spec.arrival
    takes_one = Capability.SUBMIT in promised
    if not takes_one and Capability.BATCH not in promised:
        yield "The system takes no tasks: it runs only scheduled jobs."
    if isinstance(arrival, Paced | RoundTrip | ClientCrash) and not takes_one:
        yield "The system takes no single tasks."
    serializer = variant_of(registry.backend(spec.backend), spec.variant).serializer
    if serializer is Serializer.PLAIN_JSON and _takes_bytes(spec.workload):
        yield f"A task of {spec.workload} takes bytes, which the system's JSON cannot represent."
    required, lack = REQUIRED.get(type(arrival), (None, ""))
    if required is not None and required not in promised:
        yield f"The system {lack}."
    if isinstance(arrival, Retry):
        if arrival.delay_s > 0 and Capability.RETRY_DELAY not in promised:
            yield "The system cannot delay a retry."
        if spec.workload != FLAKY:
            yield f"{spec.workload} never raises, so no task is retried: use --workload {FLAKY}."


def _reasons_of_fault(
    chosen: registry.SelectedBackend, spec: TrialSpec, kind: FaultKind
) -> Iterator[str]:
    """Yield why a fault of this kind can hit nothing in a trial."""
    role = kind.role
    if not isinstance(spec.arrival, Burst | Paced | Periodic):
        yield f"A fault needs a burst, paced tasks or jobs, and not arrival {spec.arrival.kind}."
    # The clock of a driver that executes the tasks can be stepped as well.
    is_clock = kind is FaultKind.CLOCK_STEP
    if (
        role in (Role.WORKER, Role.HOST)
        and not registry.has_worker_processes(chosen)
        and not is_clock
    ):
        yield "The system executes tasks in the driver: there is no worker for the fault."
    if role is Role.DRIVER and not registry.has_worker_processes(chosen):
        yield "The system executes tasks in the driver, which the fault would end with them."
    variant = variant_of(chosen.backend, chosen.variant)
    is_in_driver = variant.serializer is Serializer.MEMORY and not registry.has_worker_processes(
        chosen
    )
    if role in (Role.CHILD, None) and kind is not FaultKind.NONE and is_in_driver:
        yield "The system executes tasks in the driver: there is no child process for the fault."
    if kind is FaultKind.OUTLIVE:
        yield from _reasons_of_outlive(spec)
    if role is Role.BROKER and not {*services_of(chosen.backend, chosen.variant)} - {Service.CRON}:
        yield "The system has no server for the fault."
    if role is Role.HOST and spec.topology.nodes == 1:
        yield "The fault needs workers on two hosts: use --nodes 2."


def _reasons_of_scheduler(
    chosen: registry.SelectedBackend, spec: TrialSpec, kind: FaultKind, *, is_on_host: bool
) -> Iterator[str]:
    """Yield why a fault of the scheduler cannot hit a system."""
    if kind.role is not Role.SCHEDULER:
        return
    if not isinstance(spec.arrival, Periodic):
        yield "The fault needs jobs: add --arrival periodic."
    if not registry.has_scheduler_process(chosen):
        yield "The system has no process outside of the driver that starts jobs, for the fault."
    if is_on_host and Service.CRON in services_of(chosen.backend, chosen.variant):
        yield (
            "Its jobs are started by this machine's cron, which starts those of others too, so the "
            "lab does not end it: use --provider compose."
        )


def _reasons_of_outlive(spec: TrialSpec) -> Iterator[str]:
    needed_s = fault_tasks.outlive_s(spec)
    if needed_s is None:
        yield "The system never delivers a started task again: no task is too long for it."
    elif needed_s > spec.deadline_s:
        yield (
            f"A task that outlives the deadline of the system takes {needed_s:.0f} s, and the "
            f"preset ends a trial {spec.deadline_s:.0f} s after the last was offered."
        )


def _reasons_of_clock(chosen: registry.SelectedBackend, kind: FaultKind) -> Iterator[str]:
    """Yield why a step of the clock cannot hit a system: cron belongs to the machine."""
    if kind is FaultKind.CLOCK_STEP and Service.CRON in services_of(chosen.backend, chosen.variant):
        yield "The system has its jobs started by cron, whose clock the lab does not step."


def _reasons_of_disk(
    chosen: registry.SelectedBackend, spec: TrialSpec, fault: Fault
) -> Iterator[str]:
    """Yield why a fault of the disk cannot hit the server of a trial."""
    if fault.kind not in (FaultKind.BROKER_DISK_FULL, FaultKind.POWER_LOSS):
        return
    servers = set(services_of(chosen.backend, spec.variant))
    if not servers & {Service.REDIS, Service.RABBITMQ}:
        yield "The system has no server whose disk the fault can hit: Redis or RabbitMQ."
    if Service.REDIS in servers and fault.persistence in ("", Persistence.NONE):
        yield f"Redis writes nothing without persistence: use --fault {fault.kind}:aof-always."


def _reasons_of_user_function(
    promised: frozenset[Capability], spec: TrialSpec, preflight: PreflightResult
) -> Iterator[str]:
    """Yield why a backend cannot run a user's function."""
    chosen = registry.select(spec.label)
    variant = variant_of(chosen.backend, chosen.variant)
    for serializer, part, reason in preflight.refusals:
        is_sent = part != FUNCTION or not variant.sends_name
        if serializer == variant.serializer and is_sent:
            yield f"The system cannot take {spec.workload}: {reason}."
    if preflight.is_coroutine and not promised & AWAITING and chosen.backend.executes:
        yield (
            f"{spec.workload} is a coroutine function: the lab runs those on backends that await "
            "them by themselves, such as asyncio, rq and dask[distributed]. This is none of them."
        )
    if isinstance(spec.arrival, Periodic):
        yield f"{spec.workload} is offered as tasks, and not as jobs with a schedule."
