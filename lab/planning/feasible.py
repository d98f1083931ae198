"""Refuses a campaign that is too large to be planned, recorded or waited for."""

from __future__ import annotations

from lab.core import fire_times
from lab.core.errors import UsageError
from lab.core.model import Periodic
from lab.planning import ranges, tasks
from lab.planning.plan import Plan, Selection, total_s


def require_plannable(selection: Selection) -> None:
    """Refuse a selection of more trials than a plan may hold, before it is planned.

    Raises:
        UsageError: It has more than `ranges.MOST_TRIALS`.
    """
    slots = sum(len(selection.workers_per_core or cell.workers) for cell in selection.cells)
    labels = len(selection.labels) + len(selection.references)
    n = selection.blocks * labels * slots * len(selection.cores) * len(selection.nodes)
    if n > ranges.MOST_TRIALS:
        raise UsageError(
            f"That is up to {n:,} trials, and a campaign has at most {ranges.MOST_TRIALS:,}: "
            "choose fewer blocks, backends, workloads, cores, nodes or workers."
        )


def require_feasible(plan: Plan) -> None:
    """Refuse a plan with a window that cannot be recorded, or that no one waits for.

    Raises:
        UsageError: A window has too many tasks, or lasts longer than a day, or all take too long.
    """
    for spec in plan.trials:
        arrival = spec.arrival
        if arrival.n_tasks > tasks.MOST_TASKS:
            raise UsageError(
                f"{arrival.n_tasks:,} tasks in a window of {spec.workload}, and at most "
                f"{tasks.MOST_TASKS:,} can be recorded: say fewer --tasks."
            )
        if isinstance(arrival, Periodic) and fire_times.planned_s(arrival) > ranges.DAY_S:
            raise UsageError(
                f"{arrival.n_occurrences:,} occurrences {fire_times.describe(arrival)} take longer "
                "than a day: say fewer --occurrences."
            )
    days = total_s(plan.trials, {}) / ranges.DAY_S
    if days > ranges.LONGEST_DAYS:
        raise UsageError(
            f"This campaign would take about {days:,.0f} days, and at most {ranges.LONGEST_DAYS} "
            "are allowed: choose less, and see the time of each choice with --dry-run."
        )
