"""Numbers over trials of several cells: what one more task, worker, core or node costs or brings.

Of each block one number is made; over blocks it has an interval, as a metric has over trials. What
the trials of a line do not support is a row without an estimate, whose method says why.
"""

from __future__ import annotations

from itertools import chain

import pandas as pd

from lab.analysis.sweeps.cost import costs
from lab.analysis.sweeps.scaling import growth
from lab.analysis.sweeps.series import measured
from lab.results.schema.sweep import TrendRow

__all__ = ["trends"]


def trends(trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str) -> list[TrendRow]:
    """Tell marginal costs, the smallest tasks worth it, speed-ups, and the laws they follow.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: What the rows are filed under.
    """
    rows = measured(trials, metrics)
    return list(chain(costs(rows, analysis_id), growth(rows, analysis_id)))
