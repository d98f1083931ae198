"""Describes the run folder, every table and every column: the text of `results/README.md`."""

from __future__ import annotations

from collections.abc import Mapping

from lab.results.arrow_schema import declared, key_of, schema
from lab.results.schema import PLACES, SCHEMA_VERSION, TABLES

RULES = """
- Instants and durations are integer nanoseconds of CLOCK_MONOTONIC; only differences have meaning.
- An empty cell, or a null, means: not measured or not readable. It never means zero.
- Failed trials are included: check `status` and `flag` of a trial before you use its numbers.
"""
INTRODUCTION = f"""# Results

Generated from `lab/results/schema` by `lab.results.dictionary.describe_tables()`; schema version
{SCHEMA_VERSION}.

Each campaign has a folder `runs/<campaign_id>/`. Tables with few rows are CSV files in it. Tables
with one row per task are Parquet files in one folder per attempt at a trial, beside the raw records
from which they are computed. A trial is finished when its row is in `trial.csv`.
{RULES}- `metric`, `estimate` and `trend` can be computed again from the other tables.
- A minor version only adds columns. Files of an earlier minor lack the columns added since; the lab
  reads these as empty, or as the value stated for the column. It refuses a later minor.
- Files of schema major 1 are converted when they are read: `lab/results/convert_1.py` lists every
  renamed table, column and value.

```python
import pandas as pd

run = "results/runs/<campaign_id>"
trials = pd.read_csv(f"{{run}}/trial.csv", dtype_backend="numpy_nullable")
trial = f"{{run}}/trials/<trial_id>-<attempt>"
tasks = pd.read_parquet(f"{{trial}}/task.parquet", dtype_backend="numpy_nullable")
latency_ms = (tasks.t4_ns - tasks.t0_ns) / 1e6
```

`lab.results.store.Store(Path(run)).read("trial")` does the same with the exact types and refuses a
damaged file. In Parquet files, unit and meaning are metadata of each column.
"""

OF_PACKAGE = f"""# Tables of this package

Schema version {SCHEMA_VERSION}. Each table is one file in this folder.
{RULES}
```python
import pandas as pd

trials = pd.read_csv("trial.csv", dtype_backend="numpy_nullable")
estimates = pd.read_csv("estimate.csv", dtype_backend="numpy_nullable")
usable = trials[(trials.status == "ok") & trials.flag.isin(["ok", "noisy"])]
print(usable.groupby("label").size())
```
"""
OF_TASKS = """
```python
tasks = pd.read_parquet("task.parquet", dtype_backend="numpy_nullable")
latency_ms = (tasks.t4_ns - tasks.t0_ns) / 1e6
```

A table with one row per task holds the rows of all trials: `trial_id` and `attempt` lead to the row
of `trial`.
"""

OF_FAULTS = """
```python
outcomes = pd.read_parquet("outcome.parquet", dtype_backend="numpy_nullable")
print(outcomes.groupby(["trial_id", "outcome"]).size())
```

The tables `outcome` and `fault` hold the rows of all trials with a fault: `trial_id` and `attempt`
lead to the row of `trial`. `outcome` leaves out tasks whose outcome is ok. The numbers of these
trials are in `metric`, and not in `estimate`.
"""


def describe_tables() -> str:
    """Return the text of `results/README.md`: the folder, how to read it, and every column."""
    return INTRODUCTION + "".join(_describe_table(table, PLACES[table]) for table in TABLES)


def describe_package(files: Mapping[str, str]) -> str:
    """Return the dictionary of a published package: how to read it, and every column.

    Args:
        files: The file of each table in the package.
    """
    tasks = OF_TASKS if "task" in files else OF_FAULTS if "fault" in files else ""
    return OF_PACKAGE + tasks + "".join(_describe_table(*item) for item in files.items())


def _describe_table(table: str, place: str) -> str:
    purpose, key = TABLES[table].ABOUT, ", ".join(key_of(table))
    # The names on the left are those of Arrow, where float64 is `double`.
    kinds = {"int64": "integer", "double": "number", "string": "text"}
    lines = [f"\n## {table}\n\n`{place}`: {purpose} Key: {key}.\n"]
    lines += ["| column | type | unit | may be empty | meaning |", "|---|---|---|---|---|"]
    for column in schema(table):
        unit, about = (column.metadata[name].decode() for name in (b"unit", b"about"))
        empty = "yes" if column.nullable else ""
        added = declared(table)[column.name]
        if added["since"] != "2.0":
            fill = "empty" if added["fill"] == "" else f"{added['fill']:g}"
            about += f" (since {added['since']}, {fill} before)"
        # A bar ends a cell of a Markdown table, even within code.
        cells = (f"`{column.name}`", kinds[str(column.type)], unit, empty, about)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"
