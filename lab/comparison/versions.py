"""Compares the versions in one run, each with the one before it (METHOD M36).

Versions are environments of one system that differ in the release of a package, or in Python.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from lab.analysis.labels import MARKERS, REFERENCE
from lab.analysis.queries import (
    OVERHEAD,
    Tables,
    is_grid,
    largest_bursts,
    points,
    topology_names,
    workload_names,
)
from lab.comparison.by_column import in_order
from lab.comparison.compare import Change, compare_pairs
from lab.comparison.inputs import Side
from lab.comparison.numbers import numbers_of
from lab.core.cell import CELL
from lab.core.environment import SEPARATOR, Environment
from lab.core.model import Burst

# A line over two versions shows no more than the comparison of the two.
FEWEST, FEWEST_OF_LINE = 3, 2
LINE = ["panel", "name"]
SAME = [*LINE, *(name for name in CELL if name != "environment")]
STEP = ["before", "ratio", "ratio_low", "ratio_high", "p", "change"]


class Place(NamedTuple):
    """The subject of a line, such as ``celery``; a version of it; and what its points share."""

    subject: str
    version: str
    fixed: str


def over_versions(tables: Tables, fewest: int = FEWEST) -> pd.DataFrame:
    """Return the overhead of each system that ran in several versions, and the steps between them.

    Args:
        tables: At least `trial`, `metric` and `estimate`.
        fewest: The number of versions that the longest line has at least; else there is no row.

    Returns:
        Rows of `points` with subject and version, as in ``celery`` and ``celery 5.6.3``; panel, the
        subject and the cell; name, that of the line; and x, the rank of the version. An estimate
        with a version before it has `STEP` as well: that version, the ratio to it with its
        interval, p after Holm's correction over all steps, and the verdict.
    """
    rows = points(tables, OVERHEAD)
    rows = largest_bursts(rows[rows["arrival"] == Burst.kind], over=["environment"])
    # References bound the systems, and have no versions of their own.
    rows = rows[~is_grid(rows) & (rows["family"] != REFERENCE)]
    places = {
        (label, text): place
        for label, of_label in rows.groupby("label")
        for text, place in _places(set(of_label["environment"])).items()
    }
    keys = pd.MultiIndex.from_frame(rows[["label", "environment"]])
    is_placed = keys.isin(list(places))
    rows, chosen = rows[is_placed], [places[key] for key in keys[is_placed]]
    rows = rows.join(pd.DataFrame(chosen, rows.index, Place._fields, dtype="str"))
    cells = workload_names(rows) + ", " + topology_names(rows.assign(environment=""))
    on = " on " + rows["provider"] if len(set(rows["provider"])) > 1 else ""
    rows = rows.assign(
        panel=rows["subject"] + " \N{MIDDLE DOT} " + cells,
        name=rows["name"] + rows["fixed"].where(rows["fixed"] == "", ", " + rows["fixed"]) + on,
        # One subject is one axis, also where a line lacks some of its versions.
        x=rows.groupby("subject")["version"].transform(_ranks),
        # With its name, because a CSV makes a number of 5.10.
        version=rows["subject"] + " " + rows["version"],
    )
    names = sorted(set(rows["name"]))
    markers = {name: MARKERS[rank % len(MARKERS)] for rank, name in enumerate(names)}
    rows = rows.assign(marker=rows["name"].map(markers))
    rows = rows.sort_values([*LINE, "x"], kind="stable", ignore_index=True)
    if not (rows.groupby(LINE)["x"].nunique() >= fewest).any():
        return rows.head(0).reindex(columns=[*rows.columns, *STEP])
    return rows.merge(_steps(rows, tables), on=[*LINE, "x", "kind"], how="left")


def _ranks(versions: pd.Series) -> pd.Series:
    ordered = sorted(set(versions), key=in_order)
    return versions.map({version: rank for rank, version in enumerate(ordered)})


def _places(texts: Iterable[str]) -> Mapping[str, Place]:
    """Return the place of each environment of a label that is in a line."""
    parsed = {text: Environment.parse(text) for text in texts}
    of_releases = {text: _of_release(each) for text, each in parsed.items() if each.overrides}
    of_pythons = {
        text: Place("Python", each.python, SEPARATOR.join(each.overrides))
        for text, each in parsed.items()
        if each.python
    }
    return _long(of_releases) or _long(of_pythons)


def _of_release(environment: Environment) -> Place:
    names, versions = [], []
    for text in environment.overrides:
        name, is_release, version = text.partition("==")
        if not is_release:
            name, _, digest = text.partition(" @ ")
            version = f"checkout {digest}" if digest else text
        names.append(name)
        versions.append(version)
    python = f"Python {environment.python}" if environment.python else ""
    return Place(SEPARATOR.join(names), SEPARATOR.join(versions), python)


def _long(places: Mapping[str, Place]) -> Mapping[str, Place]:
    """Return the places of the lines that have several versions."""
    lines = [(place.subject, place.fixed) for place in places.values()]
    return {
        text: place
        for text, place in places.items()
        if lines.count((place.subject, place.fixed)) >= FEWEST_OF_LINE
    }


def _steps(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return the key of each estimate with a version before it, and its `STEP`."""
    trials = rows[rows["kind"] == "trial"][["trial_id", *LINE, "x", "version"]]
    numbers = numbers_of(tables["trial"], tables["metric"])
    numbers = numbers[numbers["metric"] == OVERHEAD].merge(trials, on="trial_id")
    pairs = list(_pairs(numbers))
    sides = [(_side(before), _side(after)) for before, after in pairs]
    steps = [
        {
            **after.iloc[0][[*LINE, "x"]].to_dict(),
            "kind": "estimate",
            "before": before["version"].iloc[0],
            "ratio": number.ratio.value,
            "ratio_low": number.ratio.low,
            "ratio_high": number.ratio.high,
            "p": number.p,
            "change": str(number.change),
        }
        for (before, after), (number,) in zip(
            pairs, compare_pairs(sides, [OVERHEAD], by="environment"), strict=True
        )
    ]
    # Without a step, columns need their types all the same.
    types = dict.fromkeys([*LINE, "kind", *STEP], "str")
    types |= dict.fromkeys(STEP[1:-1], "float64") | {"x": "int64"}
    return pd.DataFrame(steps, columns=list(types)).astype(types)


def _pairs(numbers: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the numbers of each version of a line, after those of the version before it."""
    # Some columns of a cell, such as the rate, are null.
    for _, line in numbers.groupby(SAME, dropna=False):
        for pair in pairwise(part for _, part in line.groupby("x")):
            # A ratio has no meaning for a cost that is not above zero (METHOD M9).
            if all(part["value"].between(0, math.inf, inclusive="neither").all() for part in pair):
                yield pair


def _side(numbers: pd.DataFrame) -> Side:
    return Side(str(numbers["version"].iloc[0]), numbers, {}, "")


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimate of the newest version of each line of `over_versions`, if it has one."""
    last = rows.groupby(LINE)["x"].transform("max")
    return rows[(rows["x"] == last) & (rows["kind"] == "estimate")]


def is_worse(rows: pd.DataFrame, threshold_percent: float) -> bool:
    """Return whether a row of `over_versions` is worse than the version before it.

    Args:
        rows: The rows that are judged.
        threshold_percent: How much worse a version may be.
    """
    percent = 100 * (rows["ratio"] - 1)
    return bool(((rows["change"] == Change.WORSE) & (percent > threshold_percent)).any())
