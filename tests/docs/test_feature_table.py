"""Tests the tables of the page on which system to choose: they are what the adapters promise."""

from __future__ import annotations

import re

from tests.factories.scripts import script

feature_table = script(".ci/feature_table.py")


def test_the_page_has_the_present_tables() -> None:
    """To write them: PYTHONPATH=. python .ci/feature_table.py."""
    assert feature_table.tables() in feature_table.PAGE.read_text(encoding="utf-8")


def test_the_readme_quotes_the_same_cell() -> None:
    """Both pages state the overheads of RQ and Celery with their cores and workers."""
    readme = " ".join((feature_table.ROOT / "README.md").read_text(encoding="utf-8").split())
    table = feature_table.tables()
    assert "on 1 core with 1 worker." in table
    quoted = re.search(r"no-op costs RQ (.*?) and Celery (.*?), each with (.*?):", readme)
    assert quoted is not None
    assert quoted[3] == "one worker on one core"
    for label, text in zip(("rq[worker]", "celery[prefork]"), quoted.groups(), strict=False):
        numbers = re.findall(r"[\d.]+", text)
        (row,) = (line for line in table.splitlines() if f"| `{label}@default`" in line)
        assert re.findall(r"[\d.]+", row.split(" | ")[2]) == numbers


def test_the_page_says_why_rate_and_overhead_are_not_inverse() -> None:
    """A reader who divides one by the other finds both numbers of two rows beside the table."""
    *_, sentence, _, _ = feature_table.tables().splitlines()
    rows = [line.split(" | ") for line in feature_table.tables().splitlines()]
    for label in (feature_table.STREAMS, feature_table.COLLECTS):
        (row,) = (cells for cells in rows if cells[0] == f"| `{label}`" and "[" in cells[1])
        rate, overhead = (cell.split(" [")[0] for cell in row[1:3])
        said = sentence.partition(f"`{label}` has ")[2]
        assert said.startswith(f"1 / ({rate} per s) = ")
        assert f", and an overhead of {overhead} ms" in said[:80]


def test_an_estimate_is_rounded_with_its_interval_and_its_bound() -> None:
    """Three digits, no exponent; an upper bound keeps its sign."""
    import pandas as pd

    row = {"estimate": 0.0002894, "bound": None, "ci_low": 0.000174, "ci_high": 482_345.0}
    assert feature_table._cell(pd.Series(row), 1.0) == "0.000289 [0.000174, 482,000]"
    bounded = {"estimate": 0.3764, "bound": "<", "ci_low": None, "ci_high": None}
    assert feature_table._cell(pd.Series(bounded), 1.0) == "<0.376"
    missing = dict.fromkeys(("estimate", "bound", "ci_low", "ci_high"))
    assert feature_table._cell(pd.Series(missing), 1.0) == "not measured"
