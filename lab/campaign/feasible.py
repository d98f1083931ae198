"""Refuses campaigns that are too large to plan or record, or that take too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.campaign.estimate import total_s
from lab.core import fire_times
from lab.core.errors import ResultsError, UsageError
from lab.core.model import Idle, Paced, Periodic, Retry, TrialSpec
from lab.planning import phases, ranges, registry
from lab.planning.plan import Plan, Selection
from lab.planning.ranges import Real, Whole


def require_plannable(selection: Selection) -> None:
    """Refuse a selection with too many trials, before it is planned.

    Raises:
        UsageError: It has more than `ranges.MOST_TRIALS`.
    """
    # An upper bound: what is skipped or runs once is only known from the plan, which needs memory.
    slots = sum(len(selection.workers_per_core or case.workers) for case in selection.cases)
    labels = (*selection.labels, *selection.references)
    systems = sum(len(selection.environments_of(label)) for label in labels)
    n = selection.blocks * systems * slots * len(selection.cores) * len(selection.nodes)
    if n > ranges.MOST_TRIALS:
        raise UsageError(
            f"The selection has up to {n:,} trials, more than the limit of {ranges.MOST_TRIALS:,}: "
            "choose fewer blocks, backends, environments, workloads, cores, nodes or workers."
        )


def require_feasible(plan: Plan) -> None:
    """Refuse a plan with a window that cannot be recorded, or that takes too long.

    Raises:
        UsageError: A window has too many tasks or lasts longer than a day, or the campaign takes
            longer than `ranges.LONGEST_DAYS`.
    """
    for spec in plan.trials:
        arrival = spec.arrival
        if arrival.n_tasks > phases.MOST_TASKS:
            raise UsageError(
                f"A window of {spec.workload} has {arrival.n_tasks:,} tasks, more than the limit "
                f"of {phases.MOST_TASKS:,}: use a smaller --tasks."
            )
        if isinstance(arrival, Periodic) and fire_times.planned_s(arrival) > ranges.DAY_S:
            every = fire_times.describe_schedule(arrival)
            raise UsageError(
                f"{arrival.n_occurrences:,} occurrences {every} take longer "
                "than a day: use a smaller --occurrences."
            )
    days = total_s(plan.trials) / ranges.DAY_S
    if days > ranges.LONGEST_DAYS:
        raise UsageError(
            f"This campaign takes about {days:,.0f} days, more than the limit of "
            f"{ranges.LONGEST_DAYS}: select less; --dry-run prints the time that a selection takes."
        )


def require_in_range(file: Path, specs: Iterable[TrialSpec]) -> None:
    """Refuse trials of a plan file whose numbers the command line would refuse.

    Raises:
        ResultsError: A number is out of its range.
        UsageError: A cron line names no instant.
    """
    for spec in specs:
        for name, value, allowed in _numbers(spec):
            if not allowed.low <= value <= allowed.high:
                raise ResultsError(
                    f"{file}: {name} of trial {spec.id} is {value:,.15g}, and must be {allowed}. "
                    "The lab does not run it: start a new run."
                )


def _numbers(spec: TrialSpec) -> Iterator[tuple[str, float, Whole | Real]]:
    """Yield the numbers of a trial that decide how large it is, each with its range."""
    arrival, topology = spec.arrival, spec.topology
    # A plan has the product of the two options of the command line.
    slots = ranges.WORKERS_PER_CORE.each.high * ranges.PLANNED_CORES.high
    yield "nodes", topology.nodes, ranges.NODES.each
    yield "cores_per_node", topology.cores_per_node, ranges.PLANNED_CORES
    yield "workers_per_node", topology.workers_per_node, Whole(1, slots)
    yield "drivers", topology.drivers, ranges.DRIVERS
    yield "quota_cpus", topology.quota_cpus, Real(0, ranges.PLANNED_CORES.high)
    yield "warmup_tasks", spec.warmup_tasks, Whole(0, ranges.TASKS.high)
    yield "deadline_s", spec.deadline_s, Real(0, ranges.DAY_S)
    yield "check_ns", spec.check_ns, Real(0, ranges.DAY_S * 1e9)
    # Other sizes are calibrated to the plan's machine; `nominal_ns` bounds those.
    if (unit := registry.workload(spec.workload)[0].unit) in ("B", "KiB"):
        yield "size", spec.size, ranges.SIZES[unit]
    yield "nominal_ns", spec.nominal_ns, Whole(0, 1_000 * ranges.SIZES["us"].high)
    # An idle window has no tasks, and the range of tasks begins at one.
    if not isinstance(arrival, Idle):
        yield "n_tasks", arrival.n_tasks, ranges.TASKS
    if isinstance(arrival, Idle):
        yield "seconds", arrival.seconds, ranges.SECONDS
    if isinstance(arrival, Paced):
        yield "rate_hz", arrival.rate_hz, ranges.RATE_HZ
        yield "n_tasks / rate_hz", arrival.n_tasks / arrival.rate_hz, Real(0, ranges.DAY_S)
    if isinstance(arrival, Retry):
        yield "delay_s", arrival.delay_s, Real(0, ranges.DAY_S)
    if isinstance(arrival, Periodic):
        yield "n_occurrences", arrival.n_occurrences, ranges.OCCURRENCES
        yield "every_s", arrival.every_s, Real(0, ranges.DAY_S)
        yield "window in seconds", fire_times.planned_s(arrival), Real(0, ranges.DAY_S)
