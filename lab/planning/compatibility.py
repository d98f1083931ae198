"""Why a trial cannot be: what it asks that its backend does not promise, or its provider lacks."""

from __future__ import annotations

from collections.abc import Mapping

from lab.core import fire_times
from lab.core.backend import Backend, capabilities, services_of
from lab.core.model import (
    Abandoned,
    Arrival,
    Capability,
    Chained,
    FanOut,
    Monitored,
    Paced,
    Periodic,
    Ranked,
    Rehearsal,
    Retried,
    RoundTrip,
    Service,
    TrialSpec,
)
from lab.planning import registry

# The workload that raises the first time it runs.
FLAKY = "flaky"
AWAITING = frozenset({Capability.COROUTINES, Capability.AWAITS})
SCHEDULES = frozenset({Capability.SCHEDULE, Capability.RESCHEDULE})
# What an arrival asks of a backend, and what is said of one that does not promise it.
ASKED: Mapping[type[Arrival], tuple[Capability, str]] = {
    RoundTrip: (
        Capability.RESULT,
        "hands no result back to the submitter, so there is no round trip",
    ),
    Retried: (Capability.RETRY, "does not retry by itself"),
    FanOut: (Capability.GROUP, "has no join of its own for a group of tasks"),
    Chained: (Capability.CHAIN, "has no chains of tasks"),
    Ranked: (Capability.PRIORITY, "knows no priorities"),
    Monitored: (Capability.MONITOR, "has no monitor of its own"),
}

# What to do where a server is lacking that a provider could have.
REMEDIES: Mapping[str, str] = {
    Service.CRON: "Run: sudo apt install cron; sudo service cron start",
}


def obstacle(
    spec: TrialSpec, offers: frozenset[Service], own: Rehearsal | None = None
) -> str | None:
    """Say in a sentence why a trial cannot be; None when it can.

    Args:
        spec: The trial.
        offers: The provider's servers.
        own: What a rehearsal showed, where its task is a function of the user's own.
    """
    chosen = registry.select(spec.label)
    promised = capabilities(chosen.backend, chosen.variant)
    name = f"{spec.backend}[{spec.variant}]"
    lacking = " and ".join(sorted(set(services_of(chosen.backend, chosen.variant)) - offers))
    remedy = REMEDIES.get(lacking, "Try another.")
    nodes, workers = spec.topology.nodes, spec.topology.workers
    obstacles = {
        f"{name} needs {lacking}, which provider {spec.provider} lacks. {remedy}": lacking,
        **_obstacles_of_arrival(name, chosen.backend, promised, spec),
        **(_obstacles_of_own(name, promised, spec, own) if own else {}),
        f"{name} lives on one machine and cannot span nodes.": nodes > 1
        and Capability.NODES not in promised,
        f"{name} works in the driver, which no CPU quota may stop.": spec.topology.quota_cpus
        and not registry.has_own_workers(chosen),
        f"{name} has one worker slot.": workers > 1 and Capability.PARALLEL not in promised,
    }
    return next((sentence for sentence, stands in obstacles.items() if stands), None)


def _obstacles_of_own(
    name: str, promised: frozenset[Capability], spec: TrialSpec, own: Rehearsal
) -> dict[str, bool]:
    """Say what a function of the user's own asks of a backend, and whether this one lacks it."""
    chosen = registry.select(spec.label)
    carrier = next(v.carrier for v in chosen.backend.variants if v.name == chosen.variant)
    refusal = dict(own.refusals).get(carrier, "")
    is_call = not promised & AWAITING and chosen.backend.executes
    return {
        f"{name} cannot take {spec.workload}: {refusal}.": refusal != "",
        f"{spec.workload} is a coroutine function: the lab measures those on systems that await "
        f"them by themselves, such as asyncio, rq and dask[distributed], and not yet on {name}.": (
            own.is_coroutine and is_call
        ),
        f"{spec.workload} is offered as tasks, and not as jobs with a schedule.": isinstance(
            spec.arrival, Periodic
        ),
    }


def _obstacles_of_arrival(
    name: str, backend: type[Backend], promised: frozenset[Capability], spec: TrialSpec
) -> dict[str, bool]:
    """Say what an arrival asks of a backend, and whether this one lacks it."""
    arrival = spec.arrival
    if isinstance(arrival, Periodic):
        finest_s = backend.finest_period_s
        return {
            f"{name} runs no jobs at set times.": not promised & SCHEDULES,
            f"{name} keeps its jobs while it runs.": arrival.is_removed
            and Capability.RESCHEDULE not in promised,
            f"{name} knows no period under {finest_s:g} s.": fire_times.period_s(arrival)
            < finest_s,
            f"{name} reads no cron lines.": arrival.cron != "" and not backend.reads_cron,
            f"A task of {spec.workload} is given bytes, and jobs are written as JSON.": isinstance(
                registry.workload(spec.workload)[1].argument(1, 0), bytes
            ),
        }
    takes_one, takes_many = Capability.SUBMIT in promised, Capability.BATCH in promised
    asked, lack = ASKED.get(type(arrival), (None, ""))
    return {
        f"{name} takes no tasks: it runs what is scheduled, and nothing else.": not takes_one
        and not takes_many,
        f"{name} takes no single tasks.": isinstance(arrival, Paced | RoundTrip | Abandoned)
        and not takes_one,
        f"{name} {lack}.": asked is not None and asked not in promised,
        f"{name} cannot be told to wait before a retry.": isinstance(arrival, Retried)
        and arrival.delay_s > 0
        and Capability.RETRY_DELAY not in promised,
        f"{spec.workload} never raises, so nothing of it is retried: say --workload {FLAKY}.": (
            isinstance(arrival, Retried) and spec.workload != FLAKY
        ),
        f"A burst is {arrival.kind} on provider local only.": isinstance(
            arrival, Abandoned | Monitored
        )
        and spec.provider != "local",
    }
