"""Rows for the tests of the tables: any that the annotations allow, and plain ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pandas as pd
from hypothesis import strategies as st

from lab.schema import IDS
from lab.tables import TABLES

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["=1+1", "@SUM(A1)", "-2", 'a "quoted" word', "two\nlines", "\r", "a,b", "NA", "null", "  ", ""]
)
ID = st.from_regex(r"(\w[\w.-]*)?", fullmatch=True, alphabet=st.characters(codec="ascii"))
KINDS = {int: INT64, float: FLOAT, str: TEXT}


def rows_of(table: str) -> st.SearchStrategy[list[Any]]:
    """Make any rows that the table's annotations allow."""
    columns = {}
    for name, hint in get_type_hints(TABLES[table]).items():
        kinds = get_args(hint) or (hint,)
        values = ID if name in IDS else KINDS[kinds[0]]
        columns[name] = (st.none() | values) if type(None) in kinds else values
    return st.lists(st.builds(TABLES[table], **columns), max_size=4)


def a_row(table: str, **changes: Any) -> Any:
    """Make one plain row of a table."""
    plain = {int: 1, float: 0.5, str: "x"}
    hints = get_type_hints(TABLES[table])
    values = {name: plain[(get_args(hint) or (hint,))[0]] for name, hint in hints.items()}
    if table == "campaign":
        values["schema_version"] = "1.0"
    return TABLES[table](**{**values, **changes})


def as_rows(frame: pd.DataFrame, table: str) -> list[Any]:
    """Turn a frame back into rows, with None for null."""
    columns = [
        [None if value is pd.NA else value for value in frame[f.name].tolist()]
        for f in fields(TABLES[table])
    ]
    return [TABLES[table](*values) for values in zip(*columns, strict=True)]
