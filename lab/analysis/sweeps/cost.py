"""Two of the four ways to tell what a task costs: by one more task, and by ever shorter ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from lab.analysis import granularity
from lab.analysis.granularity import SIZES_FLOOR
from lab.analysis.statistics import RefusedError, Value
from lab.analysis.sweeps.series import Line, of_blocks
from lab.results.schema.sweep import TrendRow

WHERE = ["label", "workload", "provider", "nodes", "cores_per_node", "workers_per_node"]
WHERE += ["quota_cpus"]


def costs(rows: pd.DataFrame, analysis_id: str) -> Iterator[TrendRow]:
    """Tell marginal and fixed costs of bursts of three sizes and more, METG of tasks of as many."""
    for _, own in rows.groupby([*WHERE, "size"], sort=False):
        if own["n_planned"].nunique() >= SIZES_FLOOR:
            yield from _marginal(Line(own, "tasks", "", analysis_id))
    for _, own in rows[rows["nominal_ns"] > 0].groupby(WHERE, sort=False):
        if own["nominal_ns"].nunique() >= SIZES_FLOOR:
            found, bound = of_blocks(own, _smallest_worth)
            named = replace(found, method=f"METG(50 %) of each block: {found.method}")
            line = Line(own, "size", "", analysis_id)
            yield line.row("metg_50_s", unit="s", found=named, bound=bound)


def _marginal(line: Line) -> Iterator[TrendRow]:
    for metric, number in (("marginal_s_per_task", _each), ("fixed_s", _fixed)):
        found, _ = of_blocks(line.rows, number)
        named = replace(found, method=f"T(n) = a + b n of each block: {found.method}")
        yield line.row(metric, unit="s", found=named)


def _line(block: pd.DataFrame) -> granularity.Line:
    ended = block[block["makespan_s"].notna()]
    return granularity.line(ended["n_planned"].tolist(), ended["makespan_s"].tolist())


def _each(block: pd.DataFrame) -> Value:
    """Return ``P b - w``: worker-seconds that one more task costs beyond its work."""
    first = block.iloc[0]
    if first["nominal_ns"] and not first["executes"]:
        raise RefusedError("Its tasks are recorded and not run: their work was never done.")
    each_s = int(first["workers"]) * _line(block).each_s - int(first["nominal_ns"]) / 1e9
    return Value(each_s, "", len(block), "P b - w")


def _fixed(block: pd.DataFrame) -> Value:
    return Value(_line(block).fixed_s, "", len(block), "a")


def _smallest_worth(block: pd.DataFrame) -> Value:
    """Return METG of a block; of several bursts of one size the largest counts."""
    ended = block[block["efficiency"].notna()].sort_values("n_planned")
    ended = ended.drop_duplicates("nominal_ns", keep="last")
    return granularity.smallest_worth(
        (ended["nominal_ns"] / 1e9).tolist(), ended["efficiency"].tolist()
    )
