"""Declares the table of estimates over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.cell import CELL, Cell
from lab.core.column import column


@dataclass(frozen=True)
class AnalysisKey:
    """The first columns of an analysis: which trials it used, and what it computed."""

    analysis_id: str = column(
        "campaign_id; `campaign_id/without-noisy`: `ok` trials only; `campaign_id/disturbed`: "
        "disturbed trials, where no other counts, never ranked"
    )
    metric: str = column("name of the metric")


@dataclass(frozen=True)
class EstimateRow(Cell, AnalysisKey):
    """One estimate over the trials of a cell, with its interval."""

    ABOUT: ClassVar[str] = "One estimate over trials, with its interval."
    # The whole cell, so that a new dimension separates the estimates without another edit.
    KEY: ClassVar[tuple[str, ...]] = ("analysis_id", "metric", *CELL)

    estimate: float | None = column("geometric mean over trials; empty: refused")
    # A percentile that depends on a task without an end is only a bound (METHOD M6).
    bound: str = column("> if any trial's value is a lower bound, < if any is an upper bound")
    ci_low: float | None = column("lower end of the confidence interval; empty: too few trials")
    ci_high: float | None = column("upper end of the confidence interval; empty: too few trials")
    ci_level: float = column("confidence level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_trials: int = column("trials that the estimate was computed from", least=0)
    # This number and the next one are in the caption of each figure (METHOD M34).
    n_noisy: int = column("number of these trials with the flag noisy", least=0)
    n_excluded: int = column("excluded trials: invalid, failed or refused", least=0)
    method: str = column("how the interval was computed, or why there is none")
