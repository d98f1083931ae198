"""Numbers over trials, with intervals: the trial is the unit of statistics (METHOD M9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lab.metrics import CELL, last_attempts
from lab.model import Estimate, Flag
from lab.statistics import interval, unstable, variation
from lab.tables import EstimateRow

LEVEL = 0.95


def estimates(
    trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str, *, with_noisy: bool
) -> list[EstimateRow]:
    """Estimate every metric of every cell over its trials, with intervals (METHOD M9).

    Of each trial the last attempt counts. Invalid, failed and refused ones are left out and
    counted; those that ran out of time stay, with their unfinished tasks. Without noisy ones this
    is the second headline of METHOD M23. A cell of which no trial can be used is a row without an
    estimate.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: What the rows are filed under.
        with_noisy: Whether trials flagged noisy take part.
    """
    last = last_attempts(trials)
    # A row is copied for each metric, and most of its columns are nobody's question here.
    facts = last[["trial_id", "attempt", "flag", *CELL]]
    # As plain rows: there may be thousands of small groups, and pandas is slow to make one.
    in_cell = Counter(map(_cell, facts.itertuples(index=False)))
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in metrics.merge(facts, on=["trial_id", "attempt"]).itertuples(index=False):
        groups.setdefault((*_cell(row), row.metric), []).append(row)
    return [
        _over_trials(rows, in_cell[cell[:-1]], analysis_id, with_noisy=with_noisy)
        for cell, rows in groups.items()
    ]


def _cell(row: Any) -> tuple[Any, ...]:
    """Tell which cell a row belongs to; a null is equal to a null."""
    values = (getattr(row, name) for name in CELL)
    return tuple(None if pd.isna(value) else value for value in values)


def _over_trials(
    rows: Sequence[Any], in_cell: int, analysis_id: str, *, with_noisy: bool
) -> EstimateRow:
    first, valid = rows[0], [row for row in rows if row.is_valid == 1]
    used = [row for row in valid if with_noisy or row.flag != Flag.NOISY]
    found = _interval(used, rows)
    return EstimateRow(
        analysis_id=analysis_id,
        metric=first.metric,
        label=first.label,
        workload=first.workload,
        size=int(first.size),
        arrival=first.arrival,
        rate_hz=None if pd.isna(first.rate_hz) else float(first.rate_hz),
        gaps=first.gaps,
        schedule=first.schedule,
        shape=None if pd.isna(first.shape) else float(first.shape),
        n_planned=int(first.n_planned),
        provider=first.provider,
        nodes=int(first.nodes),
        cores_per_node=int(first.cores_per_node),
        workers_per_node=int(first.workers_per_node),
        quota_cpus=float(first.quota_cpus),
        estimate=found.value if found.n else None,
        bound=max((row.bound for row in used), default=""),
        ci_low=found.low,
        ci_high=found.high,
        ci_level=found.level,
        unit=first.unit,
        n_trials=found.n,
        n_noisy=sum(row.flag == Flag.NOISY for row in used),
        n_excluded=in_cell - len(valid),
        method=found.method,
    )


def _interval(used: Sequence[Any], rows: Sequence[Any]) -> Estimate:
    values = [float(row.value) for row in used]
    if not values:
        refusals = [row.method for row in rows if pd.isna(row.value)]
        refusals.append("they are invalid, failed or noisy")
        return Estimate(0.0, None, None, LEVEL, 0, f"no trial can be used: {refusals[0]}")
    found = interval(values, LEVEL)
    if bounds := sum(row.bound != "" for row in used):
        # How far the true values lie from their bounds nobody knows, so no interval holds them.
        side = "lower" if any(row.bound == ">" for row in used) else "upper"
        method = f"{found.method.partition(';')[0]}; {bounds} of {found.n} trials are {side} bounds"
        found = replace(found, low=None, high=None, method=f"{method}: no interval")
    if unstable(values):
        mark = f"; unstable: trials vary by {variation(values):.0%}"
        found = replace(found, method=found.method + mark)
    return found
