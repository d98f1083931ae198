"""The tables of `lab/results/schema` as the bytes of CSV and Parquet files, and back, or refused.

Pure functions. Types, nulls, units and descriptions come from the dataclasses; whatever does not
fit them exactly is refused with one sentence, when written and when read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from lab.core.errors import ResultsError
from lab.results.arrow_schema import (
    RESTORE,
    brief,
    fill_columns,
    require_columns,
    require_values,
    require_version,
    schema,
)

Rows = Iterable[Any] | pd.DataFrame
Columns = Sequence[str] | None
"""Names of those that are wanted, or all."""

_PANDAS_TYPES: Mapping[tuple[pa.DataType, bool], Any] = {
    (pa.int64(), False): np.dtype("int64"),
    (pa.int64(), True): pd.Int64Dtype(),
    (pa.float64(), False): np.dtype("float64"),
    (pa.float64(), True): pd.Float64Dtype(),
    (pa.string(), False): pd.StringDtype(na_value=np.nan),
}
# What a value may be before it is cast. Without this, Arrow would take 3.0 for an integer, which
# hides nanoseconds that lost digits in a float, and "12" for a number.
_MAY_BECOME: Mapping[pa.DataType, Callable[[pa.DataType], bool]] = {
    pa.int64(): lambda kind: pa.types.is_integer(kind) or pa.types.is_boolean(kind),
    pa.float64(): lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    pa.string(): lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
}
# Twice what the lab was tried with: a trial of ten million tasks.
MOST_ROWS = 20_000_000
MOST_BYTES = 4 << 30
_UNFIT = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError)


def to_csv(table: str, rows: Rows, origin: Path, *, header: bool) -> bytes:
    """Write CSV: a null is an empty cell, text is quoted where it must be, lines end in LF.

    Raises:
        ResultsError: A value does not fit its column.
    """
    data = _arrow(table, rows, origin)
    lines = zip(*(column.to_pylist() for column in data.columns), strict=True)
    return (_csv_text([data.column_names]) if header else b"") + _csv_text(lines)


def to_parquet(table: str, rows: Rows, origin: Path) -> bytes:
    """Write Parquet with units and descriptions as column metadata, and a checksum a page.

    Raises:
        ResultsError: A value does not fit its column.
    """
    sink = pa.BufferOutputStream()
    data = _arrow(table, rows, origin)
    pa_parquet.write_table(data, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def from_csv(table: str, data: bytes, origin: Path) -> pd.DataFrame:
    """Read CSV into the table's exact types; an unfinished last line is left out.

    Raises:
        ResultsError: The columns, a value or the file itself is not what the table says.
    """
    finished = data[: finished_size(table, data, origin)]
    return _to_pandas(_parse_csv(table, finished, origin), table)


def from_parquet(table: str, data: bytes, origin: Path, columns: Columns = None) -> pd.DataFrame:
    """Read Parquet into the table's exact types.

    Raises:
        ResultsError: The version, the columns, a unit or the file itself is not what it must be.
    """
    try:
        source = pa.BufferReader(data)
        file = pa_parquet.ParquetFile(source, page_checksum_verification=True)
        held = file.schema_arrow
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except _UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    metadata = held.metadata or {}
    require_version(metadata.get(b"schema_version", b"none").decode(errors="replace"), origin)
    require_columns(held.names, table, origin)
    for have in held:
        column = schema(table).field(have.name)
        unit = (have.metadata or {}).get(b"unit")
        if have.type != column.type or unit != column.metadata[b"unit"]:
            raise ResultsError(
                f"{origin}: column {column.name!r} holds {have.type} in unit {unit!r}, not "
                f"{column.type} in {column.metadata[b'unit']!r}. {RESTORE}"
            )
    _require_size(file.metadata, origin)
    wanted = schema(table).names if columns is None else columns
    try:
        data_read = file.read([name for name in held.names if name in wanted])
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except _UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    for column in schema(table):
        if column.name in data_read.column_names:
            require_values(data_read[column.name], column, f"{origin} is damaged", RESTORE, table)
    return _to_pandas(fill_columns(data_read, table, wanted), table)


def _require_size(about: Any, origin: Path) -> None:
    """Refuse by its own description a Parquet file that would fill the memory."""
    size = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
    if about.num_rows > MOST_ROWS or size > MOST_BYTES:
        raise ResultsError(
            f"{origin} holds {about.num_rows:,} rows of {size:,} bytes, and a table of a trial at "
            f"most {MOST_ROWS:,} of {MOST_BYTES:,}: it is not read. {RESTORE}"
        )


def finished_size(table: str, data: bytes, origin: Path) -> int:
    """Count the bytes of a CSV file up to the end of its last finished row.

    Raises:
        ResultsError: The file is not one of this table.
    """
    finished, rest = _split_unfinished(data)
    header = _csv_text([schema(table).names])
    names = header_of(finished)
    if finished:
        require_columns(names, table, origin)
    elif not (data.startswith(header) or header.startswith(data)):
        raise ResultsError(f"{origin} is not a CSV file of table {table!r}. {RESTORE}")
    # One write was cut, so its rest is less than a row: whole rows in it belong to a lost quote.
    if any(line.count(b",") >= len(names) - 1 for line in rest[1:]):
        line = finished.count(b"\n") + 1
        raise ResultsError(f"{origin} has a quote that never closes in line {line}. {RESTORE}")
    return len(finished)


def header_of(data: bytes) -> list[str]:
    """Return the column names in the first line of a CSV file."""
    return data.partition(b"\n")[0].decode(errors="replace").split(",")


def _arrow(table: str, rows: Rows, origin: Path) -> pa.Table:
    """Turn rows or a frame into the table's exact types, or refuse with the column's name."""
    if isinstance(rows, pd.DataFrame):
        require_columns(list(rows.columns), table, origin, in_full=True)
        values = {name: rows[name] for name in schema(table).names}
    else:
        whole = list(rows)
        values = {name: [getattr(row, name) for row in whole] for name in schema(table).names}
    columns = [_array(values[column.name], column, origin) for column in schema(table)]
    return pa.Table.from_arrays(columns, schema=schema(table))


def _array(values: Any, column: pa.Field, origin: Path) -> pa.Array:
    where, then = f"Cannot write {origin}", "Nothing was written; correct the row."
    try:
        array = pa.array(values, from_pandas=True)  # NaN is no value either
        fits = pa.types.is_null(array.type) or _MAY_BECOME[column.type](array.type)
        array = array.cast(column.type) if fits else array
    except _UNFIT as error:
        raise ResultsError(f"{where}: column {column.name!r}: {brief(error)}. {then}") from error
    if not fits:
        raise ResultsError(
            f"{where}: column {column.name!r} is given {array.type}, not {column.type}. {then}"
        )
    require_values(array, column, where, then)
    return array


def _csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    lines = []
    for row in rows:
        line = io.StringIO()
        # The writer quotes only those line ends that its own terminator holds: so give it both.
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode()


def _split_unfinished(data: bytes) -> tuple[bytes, list[bytes]]:
    """Split a CSV file behind its last line end outside quotes; a kill left the rest."""
    lines = data.split(b"\n")
    rest = [lines.pop()]
    odd = sum(line.count(b'"') for line in lines) % 2
    while odd and lines:
        rest.insert(0, lines.pop())
        odd ^= rest[0].count(b'"') % 2
    return b"".join(line + b"\n" for line in lines), rest


def _parse_csv(table: str, data: bytes, origin: Path) -> pa.Table:
    if not data:
        return schema(table).empty_table()
    try:
        found = pa_csv.read_csv(
            io.BytesIO(data),
            # One block, for a line end in a row may not fall on its edge; one thread tells the row.
            pa_csv.ReadOptions(use_threads=False, block_size=max(len(data), 1 << 20)),
            convert_options=pa_csv.ConvertOptions(column_types=schema(table), null_values=[""]),
        )
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except _UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    for column in schema(table):
        if column.name in found.column_names:
            require_values(found[column.name], column, f"{origin} is damaged", RESTORE, table)
    return fill_columns(found, table)


def _to_pandas(data: pa.Table, table: str) -> pd.DataFrame:
    # Column by column, each in its type: pandas would make floats of nanoseconds beside a null.
    columns = {}
    for column in schema(table):
        if column.name in data.column_names:
            values, kind = data[column.name], _PANDAS_TYPES[column.type, column.nullable]
            is_plain = isinstance(kind, np.dtype)
            columns[column.name] = values.to_numpy() if is_plain else kind.__from_arrow__(values)
    return pd.DataFrame(columns)
