"""Estimates metrics over trials, with intervals; the unit of statistics is a trial (METHOD M9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.cells import cell_key, cell_of
from lab.analysis.metrics.registry import METRICS
from lab.analysis.statistics import LEVEL, interval, proportion, unstable, variation
from lab.core.cell import CELL
from lab.core.model import Estimate, Flag
from lab.results.schema import EstimateRow


def estimates(
    trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str, *, with_noisy: bool
) -> list[EstimateRow]:
    """Estimate every metric of every cell over its trials, with intervals (METHOD M9).

    Only the last attempt at each trial is used. Invalid, failed and refused trials are excluded and
    counted; trials that timed out stay, with their unfinished tasks. The estimates without noisy
    trials are the second headline of METHOD M23. A cell without a usable trial gets a row without
    an estimate.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: The value of that column in the rows.
        with_noisy: Whether trials flagged noisy are used.
    """
    last = last_attempts(trials)
    # The merge copies each row once for each metric: only the columns that are used.
    facts = last[["trial_id", "attempt", "flag", *CELL]]
    # Plain rows, because there may be thousands of small groups and pandas is slow to make one.
    n_in_cell = Counter(map(cell_key, facts.itertuples(index=False)))
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in metrics.merge(facts, on=["trial_id", "attempt"]).itertuples(index=False):
        groups.setdefault((*cell_key(row), row.metric), []).append(row)
    return [
        _over_trials(rows, n_in_cell[cell[:-1]], analysis_id, with_noisy=with_noisy)
        for cell, rows in groups.items()
    ]


def _over_trials(
    rows: Sequence[Any], n_in_cell: int, analysis_id: str, *, with_noisy: bool
) -> EstimateRow:
    first = rows[0]
    valid = [row for row in rows if row.is_valid == 1]
    used = [row for row in valid if with_noisy or row.flag != Flag.NOISY]
    estimate = _interval(used, rows)
    return EstimateRow(
        analysis_id=analysis_id,
        metric=first.metric,
        **cell_of(first),
        estimate=estimate.value if estimate.n else None,
        # One bound makes the mean a bound; the empty text sorts before both signs.
        bound=max((row.bound for row in used), default=""),
        ci_low=estimate.low,
        ci_high=estimate.high,
        ci_level=estimate.level,
        unit=first.unit,
        n_trials=estimate.n,
        n_noisy=sum(row.flag == Flag.NOISY for row in used),
        # From the trials, because one that failed before its first metric has no row here.
        n_excluded=n_in_cell - len(valid),
        method=estimate.method,
    )


def _interval(used: Sequence[Any], rows: Sequence[Any]) -> Estimate:
    values = [float(row.value) for row in used]
    if not values:
        refusals = [row.method for row in rows if pd.isna(row.value)]
        refusals.append("they are invalid, failed or noisy")
        return Estimate(0.0, None, None, LEVEL, 0, f"no trial can be used: {refusals[0]}")
    if (metric := METRICS.get(rows[0].metric)) and metric.is_share:
        # A mean of zeros has no width, but 0 of n has an upper end (METHOD M28).
        return _pooled(used)
    estimate = interval(values, LEVEL)
    if bounds := sum(row.bound != "" for row in used):
        # The distance between a true value and its bound is unknown, so no interval is valid.
        side = "lower" if any(row.bound == ">" for row in used) else "upper"
        kind = estimate.method.partition(";")[0]
        method = f"{kind}; {bounds} of {estimate.n} trials are {side} bounds: no interval"
        estimate = replace(estimate, low=None, high=None, method=method)
    if unstable(values):
        note = f"; unstable: trials vary by {variation(values):.0%}"
        estimate = replace(estimate, method=estimate.method + note)
    return estimate


def _pooled(used: Sequence[Any]) -> Estimate:
    """Estimate a share over the tasks or hits of all trials (METHOD M28)."""
    # The row holds k / n only; rounding restores the exact k.
    k, n = sum(round(row.value * row.n) for row in used), sum(int(row.n) for row in used)
    estimate = proportion(k, n, LEVEL)
    method = f"{estimate.method}, over {len(used)} trials"
    if any(row.bound for row in used):
        method += "; a lower bound, because tasks are unknown: no upper end"
        estimate = replace(estimate, high=None)
    # `n_trials` counts trials in every row, while n of `proportion` counts tasks.
    return replace(estimate, n=len(used), method=method)
