"""Reads the numbers of disturbed trials: to be shown, or to be named as such, never ranked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


class AsCounted(Mapping[str, pd.DataFrame]):
    """The tables of a run as if disturbed trials counted, to find out what was measured at all.

    No number of these tables may be shown as a result (METHOD M23).
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Replace `trial`, `metric` and `estimate`, which the tables must have."""
        self._tables = tables
        trials, metrics, rows = tables["trial"], tables["metric"], tables["estimate"]
        is_disturbed = trials["flag"] == Flag.DISTURBED
        key = ["trial_id", "attempt"]
        ids = trials[is_disturbed].set_index(key).index
        # A refused metric has no value, whatever counts.
        is_theirs = metrics.set_index(key).index.isin(ids) & metrics["value"].notna()
        self._replaced = {
            "trial": trials.assign(flag=trials["flag"].mask(is_disturbed, Flag.NOISY.value)),
            "metric": metrics.assign(is_valid=metrics["is_valid"].mask(is_theirs, 1)),
            "estimate": rows.assign(analysis_id=rows["analysis_id"].str.removesuffix(SUFFIX)),
        }

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._replaced[name] if name in self._replaced else self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)
