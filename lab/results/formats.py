"""Converts the tables of `lab/results/schema` to the bytes of CSV and Parquet files, and back.

Pure functions. Types, nulls, units and descriptions come from the dataclasses. A value or a file
that does not match them exactly is refused with one sentence, when it is written and when it is
read.
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
from lab.results import convert_1
from lab.results.arrow_schema import (
    RESTORE,
    brief,
    fill_columns,
    require_columns,
    require_values,
    require_version,
    schema,
)
from lab.results.schema import SCHEMA_VERSION

# Otherwise Arrow handles signals itself while it reads a CSV file: a signal would cancel
# the read, the file would be called damaged, and the command would not end with 130.
pa.enable_signal_handlers(enable=False)

Rows = Iterable[Any] | pd.DataFrame
Columns = Sequence[str] | None
"""Names of the columns to read; None: all."""

_PANDAS_TYPES: Mapping[tuple[pa.DataType, bool], Any] = {
    (pa.int64(), False): np.dtype("int64"),
    (pa.int64(), True): pd.Int64Dtype(),
    (pa.float64(), False): np.dtype("float64"),
    (pa.float64(), True): pd.Float64Dtype(),
    (pa.string(), False): pd.StringDtype(na_value=np.nan),
}
# The types that may be cast to each type. Without this, Arrow would accept 3.0 as an integer, which
# hides nanoseconds that lost digits in a float, and "12" as a number.
_MAY_BECOME: Mapping[pa.DataType, Callable[[pa.DataType], bool]] = {
    pa.int64(): lambda kind: pa.types.is_integer(kind) or pa.types.is_boolean(kind),
    pa.float64(): lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    pa.string(): lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
}
# Twice the largest trial that was tried: ten million tasks.
MOST_ROWS = 20_000_000
MOST_BYTES = 4 << 30
UNFIT = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError)


def to_csv(table: str, rows: Rows, origin: Path, *, header: bool) -> bytes:
    """Write CSV: a null is an empty cell, text is quoted only if necessary, lines end in LF.

    Raises:
        ResultsError: A value does not fit its column.
    """
    data = _arrow(table, rows, origin)
    lines = zip(*(column.to_pylist() for column in data.columns), strict=True)
    return (_csv_text([data.column_names]) if header else b"") + _csv_text(lines)


def to_parquet(table: str, rows: Rows, origin: Path) -> bytes:
    """Write Parquet with units and descriptions as column metadata, and a checksum per page.

    Raises:
        ResultsError: A value does not fit its column.
    """
    sink = pa.BufferOutputStream()
    data = _arrow(table, rows, origin)
    # Without checksums a flipped bit in a page would be read as another number.
    pa_parquet.write_table(data, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def from_csv(table: str, data: bytes, origin: Path, version: str = SCHEMA_VERSION) -> pd.DataFrame:
    """Read CSV into the table's exact types, without an unfinished last line.

    Args:
        table: Name of the table.
        data: Contents of the file.
        origin: The file, for messages.
        version: The schema version of the file.

    Raises:
        ResultsError: The columns, a value or the file itself does not match the table.
    """
    if convert_1.is_of(version):
        data = _converted_csv(table, data, origin)
    finished = data[: finished_size(table, data, origin)]
    return _to_pandas(_parse_csv(table, finished, origin), table)


def _converted_csv(table: str, data: bytes, origin: Path) -> bytes:
    """Convert the finished rows of a file of major 1 to this version."""
    finished = data[: _finished_size(data, origin)]
    try:
        rows = list(csv.reader(io.StringIO(finished.decode(), newline=""), strict=True))
        return _csv_text(convert_1.convert_rows(table, rows[0], rows[1:])) if rows else b""
    except (csv.Error, ValueError) as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error


def from_parquet(table: str, data: bytes, origin: Path, columns: Columns = None) -> pd.DataFrame:
    """Read Parquet into the table's exact types.

    Raises:
        ResultsError: The version, the columns, a unit or the file itself does not match the table.
    """
    try:
        source = pa.BufferReader(data)
        file = pa_parquet.ParquetFile(source, page_checksum_verification=True)
        file_schema = file.schema_arrow
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    metadata = file_schema.metadata or {}
    version = metadata.get(b"schema_version", b"none").decode(errors="replace")
    # Before the columns: a file of a later lab is not damaged, and its version is the reason.
    require_version(version, origin)
    is_former = convert_1.is_of(version)
    names = file_schema.names
    names = convert_1.present_names(table, names) if is_former else names
    require_columns(names, table, origin)
    for name, in_file in zip(names, file_schema, strict=True):
        column = schema(table).field(name)
        unit = (in_file.metadata or {}).get(b"unit")
        # A number in another unit has the same type: only the metadata shows the difference.
        if in_file.type != column.type or unit != column.metadata[b"unit"]:
            raise ResultsError(
                f"{origin}: column {column.name!r} holds {in_file.type} in unit {unit!r}, not "
                f"{column.type} in {column.metadata[b'unit']!r}. {RESTORE}"
            )
    require_size(file.metadata, origin)
    wanted = schema(table).names if columns is None else columns
    try:
        data_read = file.read(
            [file_schema.names[place] for place, name in enumerate(names) if name in wanted]
        )
        if is_former:
            data_read = convert_1.convert_table(table, data_read)
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    return _to_pandas(_checked(data_read, table, origin, wanted), table)


def require_size(metadata: Any, origin: Path) -> None:
    """Refuse a Parquet file whose metadata declares more data than the memory may hold."""
    size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if metadata.num_rows > MOST_ROWS or size > MOST_BYTES:
        raise ResultsError(
            f"{origin} has {metadata.num_rows:,} rows and {size:,} bytes, more than the limit of "
            f"{MOST_ROWS:,} rows and {MOST_BYTES:,} bytes: it is not read. {RESTORE}"
        )


def finished_size(table: str, data: bytes, origin: Path) -> int:
    """Count the bytes of a CSV file up to the end of its last finished row.

    Raises:
        ResultsError: The file is not of this table.
    """
    size = _finished_size(data, origin)
    header = _csv_text([schema(table).names])
    if size:
        require_columns(header_of(data), table, origin)
    elif not (data.startswith(header) or header.startswith(data)):
        raise ResultsError(f"{origin} is not a CSV file of table {table!r}. {RESTORE}")
    return size


def _finished_size(data: bytes, origin: Path) -> int:
    finished, rest = _split_unfinished(data)
    names = header_of(finished)
    # An interrupted write leaves less than one row; whole rows here follow an unclosed quote.
    if any(line.count(b",") >= len(names) - 1 for line in rest[1:]):
        line = finished.count(b"\n") + 1
        raise ResultsError(f"{origin} has a quote that never closes in line {line}. {RESTORE}")
    return len(finished)


def header_of(data: bytes) -> list[str]:
    """Return the column names in the first line of a CSV file."""
    return data.partition(b"\n")[0].decode(errors="replace").split(",")


def _arrow(table: str, rows: Rows, origin: Path) -> pa.Table:
    """Convert rows or a frame to the table's exact types."""
    if isinstance(rows, pd.DataFrame):
        require_columns(list(rows.columns), table, origin, in_full=True)
        values = {name: rows[name] for name in schema(table).names}
    else:
        row_list = list(rows)
        values = {name: [getattr(row, name) for row in row_list] for name in schema(table).names}
    columns = [_array(values[column.name], column, origin) for column in schema(table)]
    return pa.Table.from_arrays(columns, schema=schema(table))


def _array(values: Any, column: pa.Field, origin: Path) -> pa.Array:
    problem = f"Cannot write {origin}"
    step = "Nothing was written; correct the row."
    try:
        array = pa.array(values, from_pandas=True)  # NaN becomes null
        fits = pa.types.is_null(array.type) or _MAY_BECOME[column.type](array.type)
        array = array.cast(column.type) if fits else array
    except UNFIT as error:
        raise ResultsError(f"{problem}: column {column.name!r}: {brief(error)}. {step}") from error
    if not fits:
        raise ResultsError(
            f"{problem}: column {column.name!r} is given {array.type}, not {column.type}. {step}"
        )
    require_values(array, column, problem, step)
    return array


def _csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    lines = []
    for row in rows:
        line = io.StringIO()
        # The writer quotes only the line ends of its own terminator, so it gets both.
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode()


def _split_unfinished(data: bytes) -> tuple[bytes, list[bytes]]:
    """Split a CSV file after its last line end outside quotes; the rest is an unfinished write."""
    lines = data.split(b"\n")
    rest = [lines.pop()]
    odd = sum(line.count(b'"') for line in lines) % 2
    while odd and lines:
        rest.insert(0, lines.pop())
        odd ^= rest[0].count(b'"') % 2
    return b"".join(line + b"\n" for line in lines), rest


def _parse_csv(table: str, data: bytes, origin: Path) -> pa.Table:
    if not data:
        # A kill within the header leaves no finished line, and Arrow refuses an empty file.
        return schema(table).empty_table()
    try:
        parsed = pa_csv.read_csv(
            io.BytesIO(data),
            # One block, because a line end in quotes may not cross two; one thread, because only
            # then errors have a row number.
            pa_csv.ReadOptions(use_threads=False, block_size=max(len(data), 1 << 20)),
            convert_options=pa_csv.ConvertOptions(column_types=schema(table), null_values=[""]),
        )
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except UNFIT as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    return _checked(parsed, table, origin)


def _checked(
    data: pa.Table, table: str, origin: object, wanted: Sequence[str] | None = None
) -> pa.Table:
    """Return the data with all wanted columns, or refuse a value that no such column may hold."""
    names = {*data.column_names}
    for column in schema(table):
        if column.name in names:
            require_values(data[column.name], column, f"{origin} is damaged", RESTORE, table)
    return fill_columns(data, table, wanted)


def _to_pandas(data: pa.Table, table: str) -> pd.DataFrame:
    # Convert each column by itself: pandas would turn nanoseconds beside a null into floats.
    columns, names = {}, {*data.column_names}
    for column in schema(table):
        if column.name in names:
            values, kind = data[column.name], _PANDAS_TYPES[column.type, column.nullable]
            is_plain = isinstance(kind, np.dtype)
            columns[column.name] = values.to_numpy() if is_plain else kind.__from_arrow__(values)
    return pd.DataFrame(columns)
