"""Numbers over trials, with intervals: the trial is the unit of statistics (METHOD M9)."""

from __future__ import annotations

from dataclasses import replace

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
    of_trials = metrics.merge(facts, on=["trial_id", "attempt"])
    in_cell = last.groupby(CELL, dropna=False).size().rename("in_cell").reset_index()
    table = of_trials.merge(in_cell, on=CELL)
    groups = table.groupby([*CELL, "metric"], dropna=False, sort=False)
    return [_over_trials(rows, analysis_id, with_noisy=with_noisy) for _, rows in groups]


def _over_trials(rows: pd.DataFrame, analysis_id: str, *, with_noisy: bool) -> EstimateRow:
    first, valid = rows.iloc[0], rows[rows["is_valid"] == 1]
    used = valid if with_noisy else valid[valid["flag"] != Flag.NOISY]
    found = _interval(used, rows)
    return EstimateRow(
        analysis_id=analysis_id,
        metric=first["metric"],
        label=first["label"],
        workload=first["workload"],
        size=int(first["size"]),
        arrival=first["arrival"],
        rate_hz=None if pd.isna(first["rate_hz"]) else float(first["rate_hz"]),
        gaps=first["gaps"],
        schedule=first["schedule"],
        provider=first["provider"],
        nodes=int(first["nodes"]),
        cores_per_node=int(first["cores_per_node"]),
        workers_per_node=int(first["workers_per_node"]),
        quota_cpus=float(first["quota_cpus"]),
        estimate=found.value if found.n else None,
        bound=">" if (used["bound"] == ">").any() else "",
        ci_low=found.low,
        ci_high=found.high,
        ci_level=found.level,
        unit=first["unit"],
        n_trials=found.n,
        n_noisy=int((used["flag"] == Flag.NOISY).sum()),
        n_excluded=int(first["in_cell"]) - len(valid),
        method=found.method,
    )


def _interval(used: pd.DataFrame, rows: pd.DataFrame) -> Estimate:
    values = used["value"].astype("float64").tolist()
    if not values:
        refusals = [*rows.loc[rows["value"].isna(), "method"], "they are invalid, failed or noisy"]
        return Estimate(0.0, None, None, LEVEL, 0, f"no trial can be used: {refusals[0]}")
    found = interval(values, LEVEL)
    if bounds := int((used["bound"] == ">").sum()):
        # How far the true values lie above their bounds nobody knows, so no interval holds them.
        method = f"{found.method.partition(';')[0]}; {bounds} of {found.n} trials are lower bounds"
        found = replace(found, low=None, high=None, method=f"{method}: no interval")
    if unstable(values):
        mark = f"; unstable: trials vary by {variation(values):.0%}"
        found = replace(found, method=found.method + mark)
    return found
