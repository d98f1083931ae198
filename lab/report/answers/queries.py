"""How answers read the tables: estimates with place and row, and ratios over paired blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from lab.analysis.labels import each, identify
from lab.analysis.metrics.registry import CELL
from lab.analysis.queries import TOPOLOGY, estimates, topology_names, trial_values, workload_names
from lab.analysis.statistics import RefusedError, paired_ratio
from lab.core.model import Estimate
from lab.figures import Tables
from lab.report.number_format import digits

PLACE = ["nominal_ns", "workload", "size", "arrival", "rate_hz", "shape", *TOPOLOGY]


def cells(tables: Tables, metric: str) -> pd.DataFrame:
    """Return the headline estimates of a metric, each with its place in words and its row.

    Returns:
        The columns of `estimate`, and row, name, family, workload_name, topology, place.
    """
    found = estimates(tables, metric)
    found = found.assign(row=[f"estimate.csv row {number + 1}" for number in found.index])
    about = tables["trial"].drop_duplicates(CELL)[[*CELL, "size_unit", "nominal_ns"]]
    found = found.merge(about, on=CELL).merge(identify(tables["trial"]), on="label")
    return placed(found)


def values(tables: Tables, metric: str) -> pd.DataFrame:
    """Return the usable trials that have the metric, each with its place in words."""
    return placed(trial_values(tables, metric).merge(names_of(tables), on="label"))


def names_of(tables: Tables) -> pd.DataFrame:
    """Return each label with its short name."""
    return identify(tables["trial"])[["label", "name"]]


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """Add workload_name, topology and place, and sort by place."""
    rows = rows.sort_values(PLACE, kind="stable")
    if rows.empty:
        return rows.assign(workload_name="", topology="", place="")
    rates = rows["rate_hz"].map(" at {:g}/s".format, na_action="ignore").astype("str").fillna("")
    rows = rows.assign(workload_name=workload_names(rows), topology=topology_names(rows))
    return rows.assign(place=rows["workload_name"] + rates + ", " + rows["topology"])


def by(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Go through the groups of a column in the order in which they come."""
    for value, group in rows.groupby(column, sort=False):
        yield str(value), group


def ratio(a: pd.DataFrame, b: pd.DataFrame) -> Estimate | None:
    """Estimate a / b of two sets of trials over the blocks that have both (METHOD M12).

    None where no block has both, or a value has no logarithm.
    """
    both = a.merge(b, on="block")
    try:
        return paired_ratio(both["value_x"].tolist(), both["value_y"].tolist())
    except RefusedError:
        return None


def told(row: Any, write: Callable[[float], str]) -> str:
    """Write an estimate with its name, its bound and its interval."""
    text = f"{row.name} {row.bound}{write(float(row.estimate))}"
    if pd.isna(row.ci_low) or pd.isna(row.ci_high):
        return text
    return f"{text} ({write(float(row.ci_low))} to {write(float(row.ci_high))})"


def times(found: Estimate) -> str:
    """Write a ratio with its interval, or say that it has none."""
    if found.low is None or found.high is None:
        return f"{digits(found.value)} times (no interval: {found.n} blocks)"
    return f"{digits(found.value)} times ({digits(found.low)} to {digits(found.high)})"


def trial_rows(trials: pd.DataFrame) -> list[str]:
    """Return the ids of trials, once each, by which `lab reproduce` knows them."""
    return list(dict.fromkeys(str(trial.trial_id) for trial in each(trials)))
