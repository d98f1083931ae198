"""Tests the short names of labels: each means the same on the command line."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.analysis.labels import each, identify
from lab.planning import registry


def trials(*labels: str) -> pd.DataFrame:
    """Return the columns of trials that a name is made from."""
    parts = [registry.LABEL.fullmatch(label) for label in labels]
    rows = [
        (part.string, part["backend"], part["variant"], part["profile"]) for part in parts if part
    ]
    columns = ["label", "backend", "variant", "profile"]
    return pd.DataFrame(rows, columns=columns).assign(family="x")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["celery[prefork]@default"], ["celery"]),
        (["celery[threads]@default"], ["celery[threads]"]),
        (["celery[prefork]@safe", "rq[worker]@default"], ["celery@safe", "rq@default"]),
        (
            ["celery[prefork]@default", "celery[threads]@default"],
            ["celery[prefork]", "celery[threads]"],
        ),
        (["not-installed[main]@default"], ["not-installed"]),
    ],
)
def test_a_short_name_selects_the_label(labels: list[str], names: list[str]) -> None:
    """A variant is left out only where the backend's name alone means it."""
    identified = identify(trials(*labels))
    assert list(identified.name) == names
    for label, name in zip(identified.label, identified.name, strict=True):
        if not name.startswith("not-installed"):
            assert registry.select(name).label == label


def test_rows_have_the_values_of_their_table_as_types_of_python() -> None:
    """A null stays the null of its column, and a name that is no identifier gets its position."""
    table = pd.DataFrame({"label": ["a", "b"], "n": [1, 2], "per cent": [0.5, 2.0]})
    table["seconds"] = pd.array([1.5, None], dtype="Float64")
    first, second = each(table)
    assert first == ("a", 1, 0.5, 1.5)
    assert [type(value) for value in first] == [str, int, float, float]
    assert (second.label, second.n, second._2) == ("b", 2, 2.0)
    assert second.seconds is pd.NA
    assert list(each(table.head(0))) == []
