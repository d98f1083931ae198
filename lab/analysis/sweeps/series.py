"""What trends are made of: bursts with their numbers, and from numbers of blocks to a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.metrics.registry import last_attempts
from lab.analysis.statistics import RefusedError, Value, interval
from lab.core.model import Burst, Estimate, Status
from lab.results.schema.sweep import TrendRow

LEVEL = 0.95
WANTED = ("makespan_s", "efficiency", "throughput_per_s")
# What a row says of its trials, where they all agree.
INTEGERS = ("size", "n_planned", "nodes", "cores_per_node", "workers_per_node")
BLANK = {"at": None, "beyond": "", "bound": ""}
NOTHING = Estimate(0.0, None, None, LEVEL, 0, "")


@dataclass(frozen=True, slots=True)
class Line:
    """Trials of one label that differ in one thing, `along`; `held` says what else was fixed."""

    rows: pd.DataFrame
    along: str
    held: str
    analysis_id: str

    def row(self, metric: str, *, unit: str, found: Estimate, **more: Any) -> TrendRow:
        """Make the row of one number of this line; `more` overrides what its trials say."""
        first = self.rows.iloc[0]
        told = {name: _agreed(self.rows[name]) for name in INTEGERS} | BLANK
        return TrendRow(
            analysis_id=self.analysis_id,
            metric=metric,
            label=first["label"],
            workload=first["workload"],
            provider=first["provider"],
            quota_cpus=float(first["quota_cpus"]),
            along=self.along,
            held=self.held,
            estimate=found.value if found.n else None,
            ci_low=found.low,
            ci_high=found.high,
            ci_level=found.level,
            unit=unit,
            n_blocks=found.n,
            method=found.method,
            **(told | more),
        )


def _agreed(values: pd.Series) -> int | None:
    return int(values.iloc[0]) if len(set(values)) == 1 else None


def measured(trials: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return each burst's last attempt with its numbers as columns, null where it has none."""
    last = last_attempts(trials)
    last = last[(last["arrival"] == Burst.kind) & (last["status"] != Status.SKIPPED)]
    good = metrics[(metrics["is_valid"] == 1) & (metrics["bound"] == "")]
    for name in WANTED:
        own = good[good["metric"] == name][["trial_id", "attempt", "value"]]
        own = own.rename(columns={"value": name}).astype({name: "float64"})
        last = last.merge(own, how="left", on=["trial_id", "attempt"])
    return last


def of_blocks(rows: pd.DataFrame, number: Callable[[pd.DataFrame], Value]) -> tuple[Estimate, str]:
    """Make a number of each block's trials, and over blocks its mean with an interval.

    Returns:
        The estimate, with n = 0 and a sentence where no block supports one; and its bound.
    """
    values: list[Value] = []
    refusal = "No trial ended with a number."
    for _, block in rows.groupby("block"):
        try:
            values.append(number(block))
        except RefusedError as error:
            refusal = str(error)
    return over_blocks(values, refusal)


def over_blocks(values: Sequence[Value], refusal: str) -> tuple[Estimate, str]:
    """Estimate the mean over blocks; see `of_blocks`."""
    bounds = {value.bound for value in values} - {""}
    if not values:
        return replace(NOTHING, method=refusal), ""
    if len(bounds) > 1:
        return replace(NOTHING, method="The blocks disagree: below the grid and above it."), ""
    found = interval([value.value for value in values], LEVEL)
    method = found.method.replace("trials", "blocks")
    if bounds:
        n = sum(value.bound != "" for value in values)
        said = next(value.method for value in values if value.bound)
        method = f"{method.partition(';')[0]}; {n} of {found.n} blocks are bounds ({said})"
        found = replace(found, low=None, high=None)
    return replace(found, method=method), "".join(bounds)
