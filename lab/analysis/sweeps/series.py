"""Prepares bursts with their metrics, and estimates a number over blocks as a trend row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.cells import cell_of
from lab.analysis.statistics import LEVEL, RefusedError, Value, interval
from lab.core.model import Burst, Estimate, Status
from lab.results.schema.sweep import TrendRow

WANTED = ("makespan_s", "efficiency", "throughput_per_s")
BLANK = {"x": None, "oversubscription": "", "bound": ""}
# n = 0 marks a refusal; `Line.row` writes null then, never this 0.0.
NOTHING = Estimate(0.0, None, None, LEVEL, 0, "")


@dataclass(frozen=True, slots=True)
class Line:
    """Trials of one label that differ in one dimension.

    `x_axis`: the dimension. `fixed`: the fixed dimensions, as text. `rows`: the trials.
    """

    rows: pd.DataFrame
    x_axis: str
    fixed: str
    analysis_id: str

    def row(self, metric: str, *, unit: str, estimate: Estimate, **more: Any) -> TrendRow:
        """Return the row of one number of this line; `more` overrides columns."""
        cell = cell_of(next(self.rows.itertuples(index=False)))
        # A column that varies along the line is no property of the line, so it is null.
        differing = {name for name in TrendRow.VARYING if len(set(self.rows[name])) > 1}
        return TrendRow(
            analysis_id=self.analysis_id,
            metric=metric,
            **(cell | dict.fromkeys(differing)),
            x_axis=self.x_axis,
            fixed=self.fixed,
            estimate=estimate.value if estimate.n else None,
            ci_low=estimate.low,
            ci_high=estimate.high,
            ci_level=estimate.level,
            unit=unit,
            n_blocks=estimate.n,
            method=estimate.method,
            **(BLANK | more),
        )


def measured_bursts(trials: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt of each burst with the metrics `WANTED` as columns; null: missing."""
    last = last_attempts(trials)
    last = last[(last["arrival"] == Burst.kind) & (last["status"] != Status.SKIPPED)]
    # A bound has an unknown distance from its value, so it is no point of a fit.
    good = metrics[(metrics["is_valid"] == 1) & (metrics["bound"] == "")]
    for name in WANTED:
        values = good[good["metric"] == name][["trial_id", "attempt", "value"]]
        values = values.rename(columns={"value": name}).astype({name: "float64"})
        last = last.merge(values, how="left", on=["trial_id", "attempt"])
    return last


def estimate_per_block(
    rows: pd.DataFrame, number: Callable[[pd.DataFrame], Value]
) -> tuple[Estimate, str]:
    """Compute a number of each block's trials, and estimate its mean over blocks.

    Returns:
        The estimate and its bound. If no block supports the number, n is 0 and the estimate's
        method holds the reason.
    """
    values: list[Value] = []
    refusal = "No trial ended with a number."
    for _, block in rows.groupby("block"):
        try:
            values.append(number(block))
        except RefusedError as error:
            refusal = str(error)
    return estimate_over_blocks(values, refusal)


def estimate_over_blocks(values: Sequence[Value], refusal: str) -> tuple[Estimate, str]:
    """Estimate the mean over blocks; see `estimate_per_block`."""
    bounds = {value.bound for value in values} - {""}
    if not values:
        return replace(NOTHING, method=refusal), ""
    # The mean of a lower and an upper bound bounds nothing.
    if len(bounds) > 1:
        return replace(NOTHING, method="Blocks have both lower and upper bounds."), ""
    estimate = interval([value.value for value in values], LEVEL)
    method = estimate.method.replace("trials", "blocks")
    if bounds:
        n = sum(value.bound != "" for value in values)
        reason = next(value.method for value in values if value.bound)
        method = f"{method.partition(';')[0]}; {n} of {estimate.n} blocks are bounds ({reason})"
        estimate = replace(estimate, low=None, high=None)
    return replace(estimate, method=method), "".join(bounds)
