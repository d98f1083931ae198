"""Computes two of the four overheads per task: the marginal cost, and METG (METHOD M17)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from lab.analysis import granularity
from lab.analysis.granularity import SIZES_FLOOR
from lab.analysis.metrics.throughput import UNCERTAIN
from lab.analysis.statistics import RefusedError, Value
from lab.analysis.sweeps.series import Line, estimate_per_block
from lab.core.cell import PLACE, SITE
from lab.results.schema.sweep import TrendRow
from lab.worker import user_function


def costs(rows: pd.DataFrame, analysis_id: str) -> Iterator[TrendRow]:
    """Yield the marginal and fixed costs over burst sizes, and METG over task sizes.

    Each takes at least `SIZES_FLOOR` sizes.
    """
    for _, group in rows.groupby(SITE, sort=False):
        if group["n_planned"].nunique() >= SIZES_FLOOR:
            yield from _marginal(Line(group, "tasks", "", analysis_id))
    # Size is the axis here, so it is no part of the group; tasks without work have no efficiency.
    for _, group in rows[rows["nominal_ns"] > 0].groupby([*PLACE, "workload"], sort=False):
        if group["nominal_ns"].nunique() >= SIZES_FLOOR:
            estimate, bound = estimate_per_block(group, _minimum_granularity)
            named = replace(estimate, method=f"METG(50 %) of each block: {estimate.method}")
            line = Line(group, "size", "", analysis_id)
            yield line.row("metg_50_s", unit="s", estimate=named, bound=bound)


def _marginal(line: Line) -> Iterator[TrendRow]:
    for metric, number in (("marginal_s_per_task", _each), ("fixed_s", _fixed)):
        estimate, _ = estimate_per_block(line.rows, number)
        named = replace(estimate, method=f"T(n) = a + b n of each block: {estimate.method}")
        yield line.row(metric, unit="s", estimate=named)


def _line(block: pd.DataFrame) -> granularity.LengthFit:
    ended = block[block["makespan_s"].notna()]
    return granularity.fit_length(ended["n_planned"].tolist(), ended["makespan_s"].tolist())


def _each(block: pd.DataFrame) -> Value:
    """Return ``P b - w``: worker-seconds that one more task costs in addition to its work."""
    first = block.iloc[0]
    if not first["nominal_ns"] and user_function.is_user_function(first["workload"]):
        raise RefusedError(UNCERTAIN)
    if first["nominal_ns"] and not first["runs_tasks"]:
        raise RefusedError("This reference records tasks and does not run them.")
    # As timed before the trials, because the speed of the CPU drifts after the calibration.
    work_s = block["work_ns"].fillna(block["nominal_ns"]).mean() / 1e9
    each_s = int(first["workers"]) * _line(block).each_s - float(work_s)
    return Value(each_s, "", len(block), "P b - w")


def _fixed(block: pd.DataFrame) -> Value:
    return Value(_line(block).fixed_s, "", len(block), "a")


def _minimum_granularity(block: pd.DataFrame) -> Value:
    """Return METG of a block, from the largest burst of each task size."""
    ended = block[block["efficiency"].notna()].sort_values("n_planned")
    # In the largest burst the fixed cost of a burst has the smallest share.
    ended = ended.drop_duplicates("nominal_ns", keep="last")
    return granularity.minimum_granularity(
        (ended["nominal_ns"] / 1e9).tolist(), ended["efficiency"].tolist()
    )
