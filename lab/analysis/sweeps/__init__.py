"""Computes trends: numbers over several cells, such as marginal costs, speed-ups and scaling laws.

Each block gives one number; the interval is over blocks. A number that the trials do not support
is a row without an estimate; its `method` gives the reason.
"""

from __future__ import annotations

from itertools import chain

import pandas as pd

from lab.analysis.sweeps.cost import costs
from lab.analysis.sweeps.scaling import scaling
from lab.analysis.sweeps.series import measured_bursts
from lab.results.schema.sweep import TrendRow

__all__ = ["sweeps"]


def sweeps(trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str) -> list[TrendRow]:
    """Return marginal costs, METG, speed-ups, and the coefficients of scaling laws.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: The `analysis_id` of the rows.
    """
    rows = measured_bursts(trials, metrics)
    return list(chain(costs(rows, analysis_id), scaling(rows, analysis_id)))
