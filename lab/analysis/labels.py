"""Assigns names and markers to labels, the same in all figures and tables of a campaign."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from functools import cache
from typing import Any

import pandas as pd

from lab.analysis.colours import colour_of
from lab.analysis.environments import environment_of, label_of
from lab.analysis.per_table import per_table
from lab.core.errors import LabError
from lab.planning import registry

REFERENCE = "reference"  # family of the backends that bound the others (METHOD M18)
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*", "d", "H", "8")


@per_table
def identify(trials: pd.DataFrame) -> pd.DataFrame:
    """Assign a short name and a marker to each label.

    Args:
        trials: The whole trial table; with a subset the markers would change.

    Returns:
        Columns label, name, family, marker; one row per label, sorted by label. Labels of one
        colour have different markers.
    """
    labels = trials[["label", "backend", "family", "variant", "profile"]].drop_duplicates("label")
    # By name, because a random order of trials (METHOD M3) would give other markers in each run.
    labels = labels.sort_values("label", ignore_index=True)
    # By colour and not by family, because families of other packages may share a colour.
    ranks = labels.groupby(labels["family"].map(colour_of)).cumcount()
    labels["marker"] = [MARKERS[rank % len(MARKERS)] for rank in ranks]
    environments = labels["label"].map(environment_of)
    labels["name"] = (_short_names(labels) + " " + environments).str.rstrip()
    return labels[["label", "name", "family", "marker"]]


def identify_by_provider(trials: pd.DataFrame) -> pd.DataFrame:
    """Assign a name to each label on each provider.

    Args:
        trials: The whole trial table.

    Returns:
        The columns of `identify` and provider; one row per label and provider. If trials of
        several providers ran, a name ends with that of the provider.
    """
    pairs = trials[["label", "provider"]].drop_duplicates().sort_values(["label", "provider"])
    named = pairs.merge(identify(trials), on="label")
    if len(set(named["provider"])) > 1:
        named["name"] += " on " + named["provider"]
    return named


def _short_names(labels: pd.DataFrame) -> pd.Series[str]:
    """Shorten ``backend[variant]@profile`` to what the command line takes for the same label.

    A variant is removed if no other of the backend was measured, and the name of the backend alone
    means it; a profile, if all labels have the default one.
    """
    variants = labels.groupby("backend")["variant"].transform("nunique")
    all_default = bool((labels["profile"] == "default").all())
    names = [
        row.backend
        + (f"[{row.variant}]" if several > 1 or not _is_first(row.backend, row.variant) else "")
        + ("" if all_default else f"@{row.profile}")
        for row, several in zip(each(labels), variants, strict=True)
    ]
    return pd.Series(names, labels.index, dtype="str")


@cache  # a look-up imports the adapter, and a report has many tables
def _is_first(backend: str, variant: str) -> bool:
    """Return whether a backend's name alone means this variant, as far as this machine knows."""
    try:
        return registry.backend(backend).variants[0].name == variant
    except LabError:  # of another package, which is not installed: the name means nothing here
        return True


def selected(label: str) -> registry.SelectedBackend | None:
    """Return what a label of a table selects; None for a system that is not installed here."""
    try:
        return registry.select(label_of(label))
    except LabError:
        return None


def each(frame: pd.DataFrame) -> Iterable[Any]:
    """Yield a frame's rows as named tuples, with Python's types; a null is that of its column."""
    # Not `itertuples`: it makes a class at each call, which takes longer than the rows of a report.
    columns = [column.array.to_numpy(dtype=object).tolist() for _, column in frame.items()]
    return map(_row_type(tuple(frame.columns))._make, zip(*columns, strict=True))


@cache
def _row_type(columns: tuple[str, ...]) -> Any:
    return namedtuple("Row", columns, rename=True)  # noqa: PYI024 (the columns are those of data)
