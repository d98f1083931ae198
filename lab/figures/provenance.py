"""Describes the data behind a picture: metadata of its files, and the end of its caption."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from lab.analysis.contracts import by_contract
from lab.analysis.labels import REFERENCE
from lab.analysis.queries import Tables
from lab.analysis.statistics import INTERVAL_FLOOR, too_few
from lab.core.cell import CELL
from lab.core.model import Flag, Status

UNSTABLE = "; unstable"  # in the method of a cell whose trials differ by more than 10 %
COUNT = re.compile(r"\d+(?= trials)")
REQUIRED = ("n_trials", "ci_method", "spec_hash")
"""Metadata that every picture must have (METHOD M34)."""


def facts(name: str, data: pd.DataFrame, tables: Tables) -> dict[str, str]:
    """Return n, the interval's method, the flags, the plan's hash and the contracts as text.

    Args:
        name: The chart's name.
        data: The chart's data; rows of cells carry n_trials, n_noisy and method, and n_excluded,
            campaign_id and spec_hash where they come from several runs.
        tables: The run's tables, for the campaign's hash and the number of excluded trials.
    """
    # Only the history draws several runs; there a cell counts once for each of them.
    several = "campaign_id" in data
    keys = [*CELL, *(["campaign_id"] if several else [])]
    # Rows of trials, and numbers over several cells, have no n_trials and are no cells.
    cells = data.dropna(subset=["n_trials"]).drop_duplicates(keys)
    campaigns = data if several else tables["campaign"]
    n_trials, n_noisy = (int(cells[key].sum()) for key in ("n_trials", "n_noisy"))
    # Every attempt counts, so that a repeat does not hide the one that it replaced (METHOD M23).
    n_excluded = int(cells["n_excluded"].sum()) if several else _attempts(cells, tables) - n_trials
    return {
        "figure": name,
        "campaign_id": _listed(campaigns["campaign_id"]),
        "spec_hash": _listed(campaigns["spec_hash"]),
        "n_cells": str(len(cells)),
        "n_trials": str(n_trials),
        "n_noisy": str(n_noisy),
        "n_excluded": str(n_excluded),
        "n_disturbed": str(_disturbed(data, keys)),
        "n_unstable": str(int(cells["method"].str.contains(UNSTABLE, regex=False).sum())),
        "ci_method": _methods(cells["method"]),
        "contracts": _contracts(data),
        "n_bars": _bars(data),
        "n_blocks": str(int(cells["n_trials"].max()) if len(cells) else 0),
    }


def _bars(data: pd.DataFrame) -> str:
    """Count the intervals; empty for a figure that never has one."""
    return str(len(data.dropna(subset=["low", "high"]))) if "low" in data else ""


def _contracts(data: pd.DataFrame) -> str:
    """List the systems of each contract; references bound systems and promise nothing."""
    if not {"label", "name", "family"} <= {*data.columns}:
        return ""
    systems = data[data["family"] != REFERENCE].drop_duplicates("label")
    names = dict(zip(systems["label"], systems["name"], strict=True))
    return "; ".join(
        f"{contract} ({', '.join(sorted(names[label] for label in labels))})"
        for contract, labels in by_contract(names).items()
    )


def _disturbed(data: pd.DataFrame, keys: list[str]) -> int:
    """Count the cells that have only a disturbed number (METHOD M23)."""
    if "kind" not in data:
        return 0
    return len(data[data["kind"] == Flag.DISTURBED].drop_duplicates(keys))


def _attempts(cells: pd.DataFrame, tables: Tables) -> int:
    trials = tables["trial"]
    # A skipped trial was never run, so no number of it was excluded.
    ran = trials["status"] != Status.SKIPPED
    return int((trials["arrival"].isin(cells["arrival"]) & ran).sum())


def _listed(values: pd.Series) -> str:
    # Sorted, because a set of texts has another order in each process (PYTHONHASHSEED).
    return "; ".join(sorted({str(value) for value in values.dropna()}))


def _methods(methods: pd.Series) -> str:
    """List each method once, with the range of its trial counts."""
    counts_of: dict[str, set[int]] = {}
    for method in methods:
        plain = method.partition(UNSTABLE)[0]
        count = COUNT.search(plain)
        # Methods that differ only in their number of trials would make the caption too long.
        counts_of.setdefault(COUNT.sub("#", plain), set()).add(int(count[0]) if count else 0)
    spans = {text: sorted({min(counts), max(counts)}) for text, counts in counts_of.items()}
    return " | ".join(text.replace("#", " to ".join(map(str, n))) for text, n in spans.items())


def sentence(metadata: Mapping[str, str]) -> str:
    """Return n, the interval, the noise and unequal contracts as sentences for a caption."""
    contracts = metadata["contracts"]
    n_unstable = metadata["n_unstable"]
    n_disturbed = metadata["n_disturbed"]
    disturbed = (
        f" Hollow grey marks: {n_disturbed} cells in which every trial was disturbed; not ranked."
    )
    unstable = f" In {n_unstable} cells trials differ by more than 10 %."
    return (
        f"n = {metadata['n_trials']} trials in {metadata['n_cells']} cells, {metadata['n_noisy']} "
        f"of them flagged noisy; excluded as failed, invalid or refused: {metadata['n_excluded']}. "
        f"{_interval(metadata)}{unstable if n_unstable != '0' else ''}"
        f"{disturbed if n_disturbed != '0' else ''}"
        f"{f' Contracts: {contracts}.' if '; ' in contracts else ''}"
    )


def _interval(metadata: Mapping[str, str]) -> str:
    n_bars, n_blocks = metadata["n_bars"], int(metadata["n_blocks"])
    # `quick` has three blocks: its figures must not speak of bars that they lack (METHOD M2).
    if n_bars == "0" and n_blocks < INTERVAL_FLOOR:
        return f"No interval: {too_few(n_blocks)}."
    bars = "Bars are intervals" if n_bars not in {"", "0"} else "Interval"
    return f"{bars}: {metadata['ci_method'] or 'none'}."
