"""Estimates metrics over disturbed trials, where no other counts: to be shown, never ranked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from lab.analysis.cells import cell_key
from lab.analysis.estimates import estimates
from lab.core.model import Flag
from lab.results.schema import EstimateRow

SUFFIX = "/disturbed"


def disturbed_estimates(
    trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str, headlines: Iterable[EstimateRow]
) -> list[EstimateRow]:
    """Return an estimate over disturbed trials for each headline that has none (METHOD M23).

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: That of the headlines; the rows have it with `SUFFIX`.
        headlines: The headline estimates.
    """
    missing = {(row.metric, cell_key(row)) for row in headlines if row.estimate is None}
    chosen = trials[trials["flag"] == Flag.DISTURBED].assign(flag=Flag.NOISY)
    if not missing or chosen.empty:
        return []
    of_these = metrics.merge(chosen[["trial_id", "attempt"]], on=["trial_id", "attempt"])
    # `estimates` uses valid values only, and no value of a disturbed trial is valid (METHOD M23).
    of_these = of_these.dropna(subset=["value"]).assign(is_valid=1)
    return [
        # The trials have the flag `noisy` for this call only, so its count would be wrong.
        replace(row, n_noisy=0, n_excluded=0)
        for row in estimates(chosen, of_these, f"{analysis_id}{SUFFIX}", with_noisy=True)
        if (row.metric, cell_key(row)) in missing
    ]
