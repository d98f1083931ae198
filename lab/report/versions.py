"""Tabulates the versions of a system: their overhead, and the step from each to the next (M36)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lab.analysis.labels import each
from lab.comparison.versions import LINE, newest, over_versions
from lab.figures import Tables
from lab.report.number_format import digits, plural, seconds
from lab.report.workflows import WorkflowTable

HEADINGS = ("version", "overhead us/task", "ratio to the version before", "p", "step", "trials")


def version_tables(tables: Tables) -> list[WorkflowTable]:
    """Return a table for each line over versions, the newest version first."""
    rows = over_versions(tables)
    cells = rows[rows["kind"] == "estimate"].sort_values([*LINE, "x"])
    titled = cells.assign(title=cells["name"] + ": " + cells["panel"])
    return [
        WorkflowTable(f"Versions of {title}", HEADINGS, [_row(row) for row in each(line[::-1])])
        for title, line in titled.groupby("title", sort=False)
    ]


def _row(row: Any) -> list[str]:
    counted = plural(int(row.n_trials), "trial")
    overhead = _with_interval(*(value * 1e6 for value in (row.y, row.low, row.high)))
    if pd.isna(row.ratio):
        return [row.version, overhead, "", "", "", counted]
    ratio = _with_interval(row.ratio, row.ratio_low, row.ratio_high)
    return [row.version, overhead, ratio, digits(row.p), row.change, counted]


def _with_interval(value: float, low: Any, high: Any) -> str:
    """Format a number with its interval; both ends are null where there is none."""
    if pd.isna(low) or pd.isna(high):
        return digits(value)
    return f"{digits(value)} ({digits(low)} to {digits(high)})"


def newest_steps(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each line of `over_versions`: its newest version, and the step to it."""
    for row in each(newest(rows)):
        known = f"{row.name}, {row.panel}: {row.version} costs {seconds(row.y)} per task"
        if pd.isna(row.ratio):
            yield f"{known}; there is no version before it to compare with."
            continue
        ratio = _with_interval(row.ratio, row.ratio_low, row.ratio_high)
        yield f"{known}, {ratio} times as much as {row.before}: {row.change}."
