"""Tests that tables are written and read back exactly, and that damaged files are refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core.errors import ResultsError
from lab.results.arrow_schema import schema
from lab.results.formats import finished_size, from_csv, from_parquet, to_csv, to_parquet
from lab.results.schema import SCHEMA_VERSION, TABLES
from tests.factories.rows import a_row, as_rows, hints_of, rows_of

FILE = Path("the_file")


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_csv_and_parquet_return_the_written_rows(table: str, data: st.DataObject) -> None:
    """Any values of the annotated types are read back equal, from rows or from a frame."""
    rows = data.draw(rows_of(table))
    text = to_csv(table, [], FILE, header=True)
    text += b"".join(to_csv(table, [row], FILE, header=False) for row in rows)
    frame = from_csv(table, text, FILE)
    assert as_rows(frame, table) == rows
    binary = to_parquet(table, frame, FILE)
    assert as_rows(from_parquet(table, binary, FILE), table) == rows
    assert binary == to_parquet(table, rows, FILE)


def test_a_large_csv_is_read_completely() -> None:
    """A file of several megabytes has rows that contain line ends."""
    rows = [a_row("metric", trial_id=str(n), method="long, \n" * 2_000) for n in range(200)]
    rows.append(a_row("metric", method="x\n" * 2_000_000))
    text = to_csv("metric", rows, FILE, header=True)
    assert as_rows(from_csv("metric", text, FILE), "metric") == rows


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("table", TABLES)
def test_types_come_from_the_annotations(table: str, rows: int) -> None:
    """A column that may be null has a nullable type of pandas, with and without rows."""
    some = [a_row(table)] * rows
    names = {int: "int64", float: "float64", int | None: "Int64", float | None: "Float64"}
    for frame in (
        from_csv(table, to_csv(table, some, FILE, header=True), FILE),
        from_parquet(table, to_parquet(table, some, FILE), FILE),
    ):
        assert len(frame) == rows
        for name, hint in hints_of(table).items():
            assert str(frame[name].dtype) == names.get(hint, "str")


def test_parquet_contains_units_and_descriptions() -> None:
    """Unit and description are metadata of each column, for readers without the lab."""
    written = pq.read_schema(pa.BufferReader(to_parquet("task", [a_row("task")], FILE)))
    assert written.metadata[b"schema_version"] == SCHEMA_VERSION.encode()
    assert written.field("t0_ns").metadata == {
        b"about": b"instant at which it was due",
        b"unit": b"ns",
    }
    assert written.field("t0_ns").type == pa.int64()


@pytest.mark.parametrize("text", ["plain", 'a "b"', "line 1\nline 2", "\n\n", '"\r\n"'])
def test_an_unfinished_row_is_left_out(text: str) -> None:
    """A kill may cut the last row at any byte; the rows before it are read."""
    rows = [a_row("metric", trial_id=str(number), method=text) for number in range(3)]
    two = to_csv("metric", rows[:2], FILE, header=True)
    whole = to_csv("metric", rows, FILE, header=True)
    for size in range(len(two), len(whole)):
        assert finished_size("metric", whole[:size], FILE) == len(two)
        assert as_rows(from_csv("metric", whole[:size], FILE), "metric") == rows[:2]
    assert finished_size("metric", whole, FILE) == len(whole)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("n", 1.0),
        ("n", "1"),
        ("n", None),
        ("n", 2**63),
        ("value", "1.5"),
        ("unit", 3),
        ("unit", None),
        ("unit", "\ud800"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(column: str, value: Any) -> None:
    """A float for an integer, text for a number, or a null in a required column is not written."""
    row = replace(a_row("metric"), **{column: value})
    with pytest.raises(ResultsError, match=f"Cannot write the_file: column '{column}'"):
        to_csv("metric", [row], FILE, header=False)


def test_nan_is_a_null() -> None:
    """NaN is written as null, and refused in a required column."""
    text = to_csv("metric", [a_row("metric", value=float("nan"))], FILE, header=True)
    assert from_csv("metric", text, FILE)["value"].isna().all()
    with pytest.raises(ResultsError, match="'value' has an empty value"):
        to_parquet("sample", [a_row("sample", value=float("nan"))], FILE)


def test_a_frame_with_float_nanoseconds_is_refused() -> None:
    """Nanoseconds lose digits in a float, so a float column is refused."""
    frame = pd.DataFrame([asdict(a_row("task")), asdict(a_row("task"))])
    frame.loc[0, "t3_ns"] = np.nan
    assert frame.t3_ns.dtype == "float64"
    with pytest.raises(ResultsError, match="'t3_ns' is given double, not int64"):
        to_parquet("task", frame, FILE)
    with pytest.raises(ResultsError, match="missing: answer"):
        to_parquet("task", frame.drop(columns="answer"), FILE)


def damaged_csv(text: str) -> dict[str, bytes]:
    """Return damaged versions of an intact metric.csv with two rows, by message."""
    header, first, second, _ = text.split("\n")
    return {
        "unknown: extra": f"{header},extra\n{first},1\n".encode(),
        "missing: value": text.replace(",value,", ",").encode(),
        "Expected 9 columns, got 4": f"{header}\na,1,b,2\n{first}\n".encode(),
        "invalid value 'many'": text.replace(",1,", ",many,", 1).encode(),
        "'n' has an empty value": text.replace(",1,x,1\n", ",,x,1\n", 1).encode(),
        "quote that never closes in line 2": f'{header}\n"{first}\n{second}\n{first}\n'.encode(),
        "invalid UTF8": f"{header}\n{first}\n".encode().replace(b"x", b"\xff\xfe"),
        "is not a CSV file": b"\x89PNG\x00\x01",
        "does not have the columns": b"\x89PNG\r\n\x1a\n\x00\x01",
        "unknown: ": b"\n" + text.encode(),
    }


@pytest.mark.parametrize("sentence", list(damaged_csv("\n\n\n")))
def test_a_damaged_csv_is_refused_with_one_sentence(sentence: str) -> None:
    """The sentence contains the file, the problem and the next step."""
    rows = [a_row("metric"), a_row("metric", trial_id="y")]
    damaged = damaged_csv(to_csv("metric", rows, FILE, header=True).decode())[sentence]
    with pytest.raises(ResultsError) as caught:
        from_csv("metric", damaged, FILE)
    message = str(caught.value)
    assert sentence in message
    assert "the_file" in message
    assert "Restore" in message
    assert "\n" not in message


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_parquet_is_refused(share: float) -> None:
    """The message contains the name of the file, wherever the file was cut."""
    whole = to_parquet("task", [a_row("task")] * 50, FILE)
    with pytest.raises(ResultsError, match=r"the_file is damaged: .*Restore"):
        from_parquet("task", whole[: int(len(whole) * share)], FILE)


def test_a_flipped_bit_in_a_parquet_is_refused() -> None:
    """The checksum of a page is verified."""
    rows = [a_row("task", task_id=number * 7919) for number in range(500)]
    content = bytearray(to_parquet("task", rows, FILE))
    content[len(content) // 8] ^= 4
    with pytest.raises(ResultsError, match="damaged"):
        from_parquet("task", bytes(content), FILE)


@pytest.mark.parametrize("change", ["unit", "type", "version", "column", "null"])
def test_a_parquet_of_another_schema_is_refused(change: str) -> None:
    """A wrong unit, type, column, null or major version is refused."""
    table = pa.Table.from_pylist([asdict(a_row("task"))], schema=schema("task"))
    position = table.schema.get_field_index("t0_ns")
    column = table.schema.field("t0_ns")
    if change == "unit":
        table = table.cast(table.schema.set(position, column.with_metadata({"unit": "us"})))
    elif change == "type":
        table = table.cast(table.schema.set(position, column.with_type(pa.float64())))
    elif change == "version":
        table = table.replace_schema_metadata({"schema_version": "3.0"})
    elif change == "column":
        table = table.drop_columns("t0_ns")
    else:
        lax = table.schema.field("task_id").with_nullable(nullable=True)
        table = table.cast(table.schema.set(1, lax)).set_column(
            1, lax, pa.array([None], pa.int64())
        )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    sentences = {"version": "schema version '3.0'", "column": "missing: t0_ns", "null": "'task_id'"}
    with pytest.raises(ResultsError, match=sentences.get(change, "'t0_ns' holds")):
        from_parquet("task", bytes(sink.getvalue()), FILE)
