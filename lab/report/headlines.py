"""Maps metrics and cells to their estimates, for the tables of the page and the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from lab.analysis.cells import cell_key
from lab.analysis.disturbed import SUFFIX
from lab.analysis.labels import each
from lab.analysis.per_table import per_table
from lab.analysis.statistics import INTERVAL_FLOOR, too_few

RowKey = tuple[Any, ...]


@per_table
def headline(estimates: pd.DataFrame) -> Mapping[RowKey, Any]:
    """Map metric and cell to the estimate over all trials that count."""
    return _of_analysis(estimates, "")


def without_noisy(estimates: pd.DataFrame) -> Mapping[RowKey, Any]:
    """Map metric and cell to the estimate without noisy trials."""
    return _of_analysis(estimates, "without-noisy")


def _of_analysis(estimates: pd.DataFrame, analysis: str) -> dict[RowKey, Any]:
    kinds = estimates["analysis_id"].str.extract(r"/(.*)", expand=False).fillna("")
    return {(row.metric, *cell_key(row)): row for row in each(estimates[kinds == analysis])}


@per_table
def shown_estimates(estimates: pd.DataFrame) -> Mapping[RowKey, Any]:
    """Map metric and cell to the headline; `METRIC/disturbed` has those of disturbed trials."""
    chosen = estimates[estimates["analysis_id"].str.endswith(SUFFIX)]
    # Another key than that of the headline: a disturbed number must never replace one that counts.
    disturbed = {(f"{row.metric}{SUFFIX}", *cell_key(row)): row for row in each(chosen)}
    return {**headline(estimates), **disturbed}


def without_interval(estimates: pd.DataFrame, metrics: Collection[str]) -> str:
    """Return what an interval lacks if no estimate of the metrics has one; otherwise empty."""
    known = estimates[estimates["metric"].isin(metrics)].dropna(subset=["estimate"])
    if known.empty or known["ci_low"].notna().any():
        return ""
    n_blocks = int(known["n_trials"].max())
    # An estimate of many trials lacks an interval for another reason: it is a bound.
    return f"No interval: {too_few(n_blocks)}." if n_blocks < INTERVAL_FLOOR else ""
