"""Converts files of schema major 1 (1.0 to 1.11) to 2.0, when they are read; they stay unchanged.

Version 2.0 renamed columns, tables and values, and made the columns of `lab.core.cell.Cell` part of
every table about cells. Columns that a minor version of major 1 added are empty in older files, or
have the value that was in effect before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

import pyarrow as pa

from lab.core.arrivals import FORMER_KINDS, PARAMETER_NAMES, Burst
from lab.core.cell import CELL
from lab.results.schema import TABLES

MAJOR, LAST_MINOR = "1", 11
FORMER_TABLES: Mapping[str, str] = {"outcome": "verdict", "firing": "occurrence"}
"""Present name of a table -> its name in files of major 1."""

_CELL = {"gaps": "interarrival", "shape": "arrival_param"}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "trial": _CELL
    | {
        "executes": "runs_tasks",
        "ceiling": "reference",
        "answers": "answer_check",
        "harness_ns": "instrumentation_ns",
        "foreign_cpu": "other_cpu",
        "n_phantom": "n_unexpected",
        "n_corrupted": "n_wrong_answer",
    },
    "estimate": _CELL,
    "trend": {"along": "x_axis", "held": "fixed", "at": "x", "beyond": "oversubscription"},
    "claim": {"words": "statement", "seed": "claimed", "here": "measured", "why": "evidence"},
    "outcome": {"verdict": "outcome"},
    "firing": {"verdict": "outcome"},
}
"""Former -> present names of columns, by present name of the table."""
METRICS: Mapping[str, str] = {
    "first_run_s_mean": "schedule_to_first_run_s_mean",
    "inversions": "priority_inversion_ratio",
    "links_early": "chain_order_violations",
    "excess_per_s": "arrival_minus_completion_per_s",
    "rho": "utilization_of_capacity",
    "throughput_of_ceiling": "throughput_of_reference",
    "harness_overhead": "instrumentation_overhead",
}
"""Former -> present names of metrics."""
_ARRIVALS = {former: kind for kind, former in FORMER_KINDS.items()}
VALUES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "trial": {"arrival": _ARRIVALS},
    "metric": {"metric": METRICS},
    "estimate": {"arrival": _ARRIVALS, "metric": METRICS},
    "outcome": {
        "outcome": {
            "corrupted": "wrong-answer",
            "phantom": "unexpected",
            "lost": "lost-silent",
        }
    },
    "firing": {"outcome": {"kept": "fired"}},
}
"""Former -> present values, by table and column."""
_CELL_ADDED = dict.fromkeys(("environment", "arrival_param_name", "fault"), "")
# No schedule, no parameter, no quota and one driver is what an empty value or 0.0 means in a cell.
_CELL_ADDED |= {"schedule": "", "arrival_param": "", "quota_cpus": "0.0", "drivers": "1"}
_TRIAL_ADDED = (
    *("reference", "answer_check", "pass_env", "worker_processes", "instrumentation_ns"),
    *("t_exec_ns", "start_call_ns", "t_first_offer_ns", "t_first_start_ns", "t_first_import_ns"),
)
ADDED: Mapping[str, Mapping[str, str]] = {
    "trial": _CELL_ADDED | dict.fromkeys(_TRIAL_ADDED, ""),
    # 0 in an estimate: the number of tasks differs between its trials.
    "estimate": _CELL_ADDED | {"n_planned": "0"},
    "trend": dict.fromkeys(CELL, "") | {"arrival": Burst.kind, "drivers": "1"},
}
"""Columns that files of major 1 may lack, with the text that they get, by table."""


def is_of(version: str) -> bool:
    """Return whether a schema version is one of major 1."""
    return version.partition(".")[0] == MAJOR


def present_names(table: str, names: Sequence[str]) -> list[str]:
    """Return the present names of columns; unknown names are returned unchanged."""
    return [COLUMNS.get(table, {}).get(name, name) for name in names]


def convert_rows(table: str, header: Sequence[str], rows: Iterable[list[str]]) -> list[list[str]]:
    """Convert the header and the rows of a CSV file; unknown columns stay, at the end.

    Raises:
        ValueError: A row has another number of cells than the header.
    """
    names = present_names(table, header)
    added = {name: text for name, text in ADDED.get(table, {}).items() if name not in names}
    known = [field.name for field in fields(TABLES[table])]
    columns = [name for name in known if name in names or name in added]
    # The check of the columns names the unknown ones, so they may not be lost here.
    columns += [name for name in names if name not in known]
    converted = [columns]
    for cells in rows:
        row = dict(zip(names, cells, strict=True)) | added
        for name, present in VALUES.get(table, {}).items():
            row[name] = present.get(row.get(name, ""), row.get(name, ""))
        # Major 1 had the parameter without its meaning, which follows from the kind of arrival.
        if "arrival_param_name" in added:
            row["arrival_param_name"] = PARAMETER_NAMES.get(row.get("arrival", ""), "")
        converted.append([row[name] for name in columns])
    return converted


def convert_table(table: str, data: pa.Table) -> pa.Table:
    """Convert the rows of a Parquet file."""
    data = data.rename_columns(present_names(table, data.column_names))
    for name, present in VALUES.get(table, {}).items():
        if name in data.column_names:
            # Only values that changed are listed; any other is a present one already.
            texts = [present.get(text, text) for text in data[name].to_pylist()]
            position, column = data.column_names.index(name), data.schema.field(name)
            data = data.set_column(position, column, pa.array(texts, column.type))
    return data
