"""Names and markers of labels, the same in every figure and table of a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*")


def identify(trials: pd.DataFrame) -> pd.DataFrame:
    """Give each label its short name and its marker; a row a label, sorted by label.

    Args:
        trials: The whole trial table: a subset would give other markers.

    Returns:
        Columns label, name, family, marker. Markers tell the labels of one family apart.
    """
    labels = trials[["label", "backend", "family", "variant", "profile"]].drop_duplicates("label")
    labels = labels.sort_values("label", ignore_index=True)
    ranks = labels.groupby("family").cumcount()
    labels["marker"] = [MARKERS[rank % len(MARKERS)] for rank in ranks]
    labels["name"] = _short_names(labels)
    return labels[["label", "name", "family", "marker"]]


def _short_names(labels: pd.DataFrame) -> list[str]:
    """Shorten ``backend[variant]@profile`` by whatever tells no two of these labels apart."""
    variants = labels.groupby("backend")["variant"].transform("nunique")
    all_default = bool((labels["profile"] == "default").all())
    return [
        row.backend
        + (f"[{row.variant}]" if several > 1 else "")
        + ("" if all_default else f"@{row.profile}")
        for row, several in zip(each(labels), variants, strict=True)
    ]


def each(frame: pd.DataFrame) -> Iterable[Any]:
    """Go through a frame's rows as named tuples, whose cells have the types of the tables."""
    return frame.itertuples(index=False)
