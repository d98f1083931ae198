"""Declares the table of trends: numbers over trials that differ in one dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.cell import CELL, Cell
from lab.core.column import column
from lab.results.schema.estimate import AnalysisKey


@dataclass(frozen=True)
class TrendRow(Cell, AnalysisKey):
    """One number over the trials of several cells, with the columns in which these agree."""

    ABOUT: ClassVar[str] = (
        "One number over trials of several cells. A column of the cell is empty if it differs "
        "between these."
    )
    KEY: ClassVar[tuple[str, ...]] = ("analysis_id", "metric", *CELL, "x_axis", "fixed", "x")
    VARYING: ClassVar[frozenset[str]] = frozenset(
        {"size", "n_planned", "nodes", "cores_per_node", "workers_per_node"}
    )

    # Declared again for its text; a dataclass leaves a repeated field in its first place.
    metric: str = column(
        "marginal_s_per_task, fixed_s, metg_50_s (M17); speed_up, speed_up_over_inline, "
        "scaling_efficiency, serial_share (M20); law_rate_per_s, contention, coherency, peak (M21)"
    )
    x_axis: str = column("dimension that differs: tasks, size, workers, cores or nodes")
    fixed: str = column("dimensions that are fixed, as text, with strong or weak scaling")
    x: float | None = column(
        "workers, cores or nodes of this point; empty: a number of the whole line"
    )
    oversubscription: str = column(
        "demand beyond the cores: quota with the share of throttled periods, oversubscribed, or "
        "more workers than cores; empty: none"
    )
    estimate: float | None = column("mean over blocks, or fit over all trials; empty: refused")
    bound: str = column("< if the true value is below the measured range, > if it is above")
    ci_low: float | None = column("lower end of the confidence interval; empty: too few blocks")
    ci_high: float | None = column("upper end of the confidence interval; empty: too few blocks")
    ci_level: float = column("confidence level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_blocks: int = column("blocks that the estimate was computed from", least=0)
    method: str = column("how the estimate was computed, with its base, or why it was refused")
