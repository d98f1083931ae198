"""Generates rows for the tests of the tables: arbitrary valid rows, and plain ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pandas as pd
from hypothesis import strategies as st

from lab.core.cell import CELL, Cell
from lab.results.arrow_schema import IDS, declared
from lab.results.schema import SCHEMA_VERSION, TABLES

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["=1+1", "@SUM(A1)", "-2", 'a "quoted" word', "two\nlines", "\r", "a,b", "NA", "null", "  ", ""]
)
ID = st.from_regex(r"(\w[\w.-]*)?", fullmatch=True, alphabet=st.characters(codec="ascii"))


def hints_of(table: str) -> dict[str, Any]:
    """Return the type of each column of a table, by name."""
    hints = get_type_hints(TABLES[table])
    varying = getattr(TABLES[table], "VARYING", ())
    return {
        field.name: hints[field.name] | None if field.name in varying else hints[field.name]
        for field in fields(TABLES[table])
    }


def blank_cell() -> dict[str, Any]:
    """Return a cell without arrival parameters, environment and fault, on one node of one core."""
    hints = get_type_hints(Cell)
    return {name: {str: "", int: 1, float: 0.0}.get(hints[name]) for name in CELL}


def rows_of(table: str) -> st.SearchStrategy[list[Any]]:
    """Return a strategy for rows that the annotations of a table allow."""
    columns = {}
    for name, hint in hints_of(table).items():
        kinds = get_args(hint) or (hint,)
        values = ID if name in IDS else _kind(table, name, kinds[0])
        columns[name] = (st.none() | values) if type(None) in kinds else values
    return st.lists(st.builds(TABLES[table], **columns), max_size=4)


def _kind(table: str, name: str, kind: type) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a column that are in its declared range."""
    least, most = (declared(table)[name][end] for end in ("least", "most"))
    if kind is int:
        ends = (-(2**63) if least is None else least, 2**63 - 1 if most is None else most)
        return st.integers(*ends)
    if kind is float:
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    return TEXT


def a_row(table: str, **changes: Any) -> Any:
    """Return one plain row of a table."""
    plain = {int: 1, float: 0.5, str: "x"}
    hints = hints_of(table)
    values = {name: plain[(get_args(hint) or (hint,))[0]] for name, hint in hints.items()}
    if table == "campaign":
        values["schema_version"] = SCHEMA_VERSION
    return TABLES[table](**{**values, **changes})


def as_rows(frame: pd.DataFrame, table: str) -> list[Any]:
    """Convert a frame to rows, with None for null."""
    columns = [
        [None if value is pd.NA else value for value in frame[f.name].tolist()]
        for f in fields(TABLES[table])
    ]
    return [TABLES[table](*values) for values in zip(*columns, strict=True)]
