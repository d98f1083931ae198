"""What a picture rests on: as metadata inside its files and as the last sentence of its caption."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from lab.analysis.metrics.registry import CELL
from lab.analysis.queries import Tables
from lab.core.model import Status

# How `lab.analysis.metrics.registry` marks a cell whose trials differ by more than 10 %.
UNSTABLE = "; unstable"
COUNT = re.compile(r"\d+(?= trials)")
REQUIRED = ("n_trials", "ci_method", "spec_hash")
"""What no picture may go without (METHOD M34)."""


def facts(name: str, data: pd.DataFrame, tables: Tables) -> dict[str, str]:
    """Collect n, the interval's method, the flags and the plan's hash as the text metadata is.

    Args:
        name: The chart's name.
        data: The chart's data; rows of cells carry n_trials, n_noisy and method, and n_excluded,
            campaign_id and spec_hash where they come from several runs.
        tables: The tables, for the campaign's hash and for the trials that are not in the data.
    """
    several = "campaign_id" in data
    keys = [*CELL, *(["campaign_id"] if several else [])]
    cells = data.dropna(subset=["n_trials"]).drop_duplicates(keys)
    campaigns = data if several else tables["campaign"]
    n_trials, n_noisy = (int(cells[key].sum()) for key in ("n_trials", "n_noisy"))
    n_excluded = int(cells["n_excluded"].sum()) if several else _attempts(cells, tables) - n_trials
    return {
        "figure": name,
        "campaign_id": _listed(campaigns["campaign_id"]),
        "spec_hash": _listed(campaigns["spec_hash"]),
        "n_cells": str(len(cells)),
        "n_trials": str(n_trials),
        "n_noisy": str(n_noisy),
        "n_excluded": str(n_excluded),
        "n_unstable": str(int(cells["method"].str.contains(UNSTABLE, regex=False).sum())),
        "ci_method": _methods(cells["method"]),
    }


def _attempts(cells: pd.DataFrame, tables: Tables) -> int:
    trials = tables["trial"]
    ran = trials["status"] != Status.SKIPPED
    return int((trials["arrival"].isin(cells["arrival"]) & ran).sum())


def _listed(values: pd.Series) -> str:
    return "; ".join(sorted({str(value) for value in values.dropna()}))


def _methods(methods: pd.Series) -> str:
    """List the methods once each, those that differ only in how many trials they had as one."""
    found: dict[str, set[int]] = {}
    for method in methods:
        plain = method.partition(UNSTABLE)[0]
        count = COUNT.search(plain)
        found.setdefault(COUNT.sub("#", plain), set()).add(int(count[0]) if count else 0)
    spans = {text: sorted({min(counts), max(counts)}) for text, counts in found.items()}
    return " | ".join(text.replace("#", " to ".join(map(str, n))) for text, n in spans.items())


def sentence(found: Mapping[str, str]) -> str:
    """Say n, the interval and the noise in words."""
    unstable = f" In {found['n_unstable']} cells trials differ by more than 10 %."
    return (
        f"n = {found['n_trials']} trials in {found['n_cells']} cells, {found['n_noisy']} of them "
        f"flagged noisy; left out as failed, invalid or refused: {found['n_excluded']}. "
        f"Interval: {found['ci_method'] or 'none'}.{unstable if found['n_unstable'] != '0' else ''}"
    )
