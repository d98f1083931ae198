"""Writes the estimates of a run in the Bencher Metric Format, which dashboards of benchmarks read.

The format (bencher.dev/docs/reference/bencher-metric-format) is a JSON object: name of a benchmark
-> name of a measure -> value, and the two ends of its interval if it has one.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from lab.analysis.labels import each
from lab.core.cell import CELL
from lab.core.errors import NothingSelectedError
from lab.figures import Tables

# A calibrated size differs between runs, and the name of a benchmark must not.
NAMED_APART = ("label", "workload", "size")


def text(tables: Tables) -> str:
    """Return the estimates of all trials that count as JSON; a cell is a benchmark.

    Refused numbers, lower bounds and the estimates of disturbed trials are left out: the format
    cannot mark them.

    Args:
        tables: At least `trial` and `estimate`.

    Raises:
        NothingSelectedError: No estimate is left.
    """
    estimates = tables["estimate"]
    # A headline has the name of the campaign alone; other analyses have a slash and a second name.
    is_headline = ~estimates["analysis_id"].str.contains("/").astype(bool)
    counted = estimates[is_headline & (estimates["bound"] == "")].dropna(subset=["estimate"])
    durations = tables["trial"][[*CELL, "nominal_ns"]].drop_duplicates(CELL)
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for row in each(counted.merge(durations, on=CELL, how="left")):
        ends = {"lower_value": row.ci_low, "upper_value": row.ci_high}
        known = {name: float(end) for name, end in ends.items() if not pd.isna(end)}
        measures = benchmarks.setdefault(benchmark(row), {})
        measures[row.metric] = {"value": float(row.estimate), **known}
    # A dashboard would accept an empty object as a report in which all benchmarks are missing.
    if not benchmarks:
        raise NothingSelectedError(
            "This run has no estimate to export: no trial counts. `lab report` lists the reasons."
        )
    return json.dumps(benchmarks, indent=1)


def benchmark(row: Any) -> str:
    """Return the name of a cell, with every column that has a value: equal in repeated runs."""
    size = f":{row.size}" if row.size else ""
    if not pd.isna(row.nominal_ns) and row.nominal_ns:
        size = f":{row.nominal_ns / 1_000:g}us"
    parts = [row.label, f"{row.workload}{size}"]
    for column in CELL:
        value = getattr(row, column)
        if column not in NAMED_APART and not pd.isna(value) and value not in ("", 0):
            parts.append(f"{column}={value if isinstance(value, str) else f'{value:g}'}")
    return " ".join(parts)
