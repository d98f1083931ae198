"""Builds the Arrow schema of each table in `lab/results/schema`, and checks files against it."""

from __future__ import annotations

import csv
import functools
import io
import re
import typing
from collections.abc import Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pa_compute

from lab.core.errors import ResultsError, UnknownNameError
from lab.results import convert_1
from lab.results.schema import SCHEMA_VERSION, TABLES

_ARROW_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}
# Names of folders and files contain these.
IDS = ("campaign_id", "trial_id", "fingerprint_id")
# No slash, and no dot at the start, so that no id leads out of the run.
ID = r"^(\w[\w.-]*)?$"
MINOR = re.compile("[0-9]{1,4}")
RESTORE = "Restore the file from a copy, or move the run folder away and run the campaign again."


@functools.cache
def schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table, from its dataclass: types, nulls, units, descriptions.

    Raises:
        UnknownNameError: There is no table of that name.
    """
    if table not in TABLES:
        raise UnknownNameError("table", table, TABLES)
    hints = typing.get_type_hints(TABLES[table])
    varying: frozenset[str] = getattr(TABLES[table], "VARYING", frozenset())
    columns = [
        _column(field, hints[field.name], may_vary=field.name in varying)
        for field in fields(TABLES[table])
    ]
    return pa.schema(columns, metadata={"table": table, "schema_version": SCHEMA_VERSION})


def _column(declared: Field[Any], hint: Any, *, may_vary: bool) -> pa.Field:
    kinds = typing.get_args(hint) or (hint,)
    about = {name: declared.metadata[name] for name in ("about", "unit")}
    # A trend pools several cells: a column in which these differ has no value in its row.
    nullable = may_vary or type(None) in kinds
    return pa.field(declared.name, _ARROW_TYPES[kinds[0]], nullable=nullable, metadata=about)


def key_of(table: str) -> list[str]:
    """Return the columns of a table's key; no two rows have equal values in all of them."""
    return list(TABLES[table].KEY)


@functools.cache
def declared(table: str) -> typing.Mapping[str, typing.Mapping[str, Any]]:
    """Return the metadata of each column of a table, from `lab.core.column`, by name."""
    return {field.name: field.metadata for field in fields(TABLES[table])}


def require_columns(
    names: Sequence[str], table: str, origin: Path, *, in_full: bool = False
) -> None:
    """Require the columns of a table in their order.

    Columns that a minor version added may be missing, unless `in_full`.

    Raises:
        ResultsError: A column is unknown, out of order, or missing although 2.0 has it.
    """
    metadata = declared(table)
    # Files of major 1 are converted before, so every file has the columns of 2.0.
    required = {name for name in metadata if in_full or metadata[name]["since"] == "2.0"}
    expected = [name for name in metadata if name in required or name in names]
    if list(names) != expected:
        unknown = ", ".join(sorted(set(map(str, names)) - set(metadata)))[:200] or "none"
        missing = ", ".join(sorted(set(expected) - set(names))) or "none"
        raise ResultsError(
            f"{origin} does not have the columns of table {table!r} in their order "
            f"(unknown: {unknown}; missing: {missing}). {RESTORE}"
        )


def require_all_columns(names: Sequence[str], table: str, origin: Path) -> None:
    """Require all columns of this schema version, in a file to which rows are appended.

    Raises:
        ResultsError: The file lacks a column: an earlier minor version wrote it.
    """
    missing = [name for name in declared(table) if name not in names]
    if missing:
        raise ResultsError(
            f"{origin} lacks the columns {', '.join(missing)} of schema version {SCHEMA_VERSION}: "
            "continue the run with the version of the lab that started it, or start a new run."
        )


def fill_columns(data: pa.Table, table: str, wanted: Sequence[str] | None = None) -> pa.Table:
    """Add the columns that the file of an earlier minor version lacks.

    Args:
        data: Contents of the file.
        table: Name of its table.
        wanted: Columns of the result; None means all.

    Returns:
        The data, with missing columns full of nulls or of the fill value in their metadata.
    """
    columns = [column for column in schema(table) if wanted is None or column.name in wanted]
    names = {*data.column_names}
    for position, column in enumerate(columns):
        if column.name not in names:
            # Empty, because the older lab did not measure it; where a null is not allowed, the
            # value that was in effect then.
            value = None if column.nullable else declared(table)[column.name]["fill"]
            filled = pa.repeat(pa.scalar(value, column.type), len(data))
            data = data.add_column(position, column, filled)
    return data


def require_values(
    array: pa.Array, column: pa.Field, where: str, then: str, table: str = ""
) -> None:
    """Check nulls and ids of a column, and with a `table` the range of its numbers.

    Args:
        array: The values.
        column: Declaration of the column.
        where: File of the values, for messages.
        then: The next step of the user, for messages.
        table: Name of the table; empty: ranges are not checked.

    Raises:
        ResultsError: A value is null although the column is not nullable, a number is out of
            range, or an id has other characters than a name (it could be a path).
    """
    if array.null_count and not column.nullable:
        raise ResultsError(f"{where}: column {column.name!r} has an empty value. {then}")
    if table and not pa.types.is_string(column.type):
        _require_range(array, column.name, declared(table)[column.name], (where, then))
    if column.name in IDS:
        wrong = array.filter(pa_compute.invert(pa_compute.match_substring_regex(array, ID)))
        if len(wrong):
            raise ResultsError(
                # A text from a foreign file may be of any length, and the message is one sentence.
                f"{where}: {column.name} {wrong[0].as_py()[:80]!r} must consist of letters, "
                f"digits and -._ only. {then}"
            )


def _require_range(
    array: pa.Array, name: str, metadata: typing.Mapping[str, Any], context: tuple[str, str]
) -> None:
    """Require that all numbers of a column are finite and in its range."""
    least, most = metadata["least"], metadata["most"]
    # NaN is not below `least` and not above `most`, so the range alone would accept it.
    wrong = pa_compute.invert(pa_compute.is_finite(array))
    if least is not None:
        wrong = pa_compute.or_(wrong, pa_compute.less(array, least))
    if most is not None:
        wrong = pa_compute.or_(wrong, pa_compute.greater(array, most))
    row = pa_compute.index(wrong, value=True).as_py()
    if row >= 0:
        ends = {"at least": least, "at most": most}
        limits = [f"{end} {limit:,}" for end, limit in ends.items() if limit is not None]
        where, then = context
        raise ResultsError(
            f"{where}: column {name!r} is {array[row].as_py()} in row {row + 1}, and must be "
            f"{' and '.join(limits) or 'a finite number'}. {then}"
        )


def require_known_version(campaign: bytes, origin: Path) -> str:
    """Require a readable schema version in a ``campaign.csv``, and return it; empty if none.

    Raises:
        ResultsError: This lab does not read that version.
    """
    try:
        # Bytes that are not text are replaced here: the reader of the table reports the damage.
        rows = list(csv.DictReader(io.StringIO(campaign.decode(errors="replace"))))
    except csv.Error as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    version = ""
    for row in rows:
        if version := row.get("schema_version") or "":
            require_version(version, origin, commit=row.get("git_commit") or "")
    return version


def require_version(version: str, origin: Path, commit: str = "") -> None:
    """Require this schema version, an earlier minor version, or one of major 1.

    Args:
        version: Schema version of a file.
        origin: The file, for the message.
        commit: Commit of the lab that wrote it; empty if unknown.

    Raises:
        ResultsError: This lab does not read that version.
    """
    major, _, minor = SCHEMA_VERSION.partition(".")
    its_major, _, its_minor = version.partition(".")
    last_minor = {convert_1.MAJOR: convert_1.LAST_MINOR, major: int(minor)}.get(its_major, -1)
    if MINOR.fullmatch(its_minor) and int(its_minor) <= last_minor:
        return
    writer = f"commit {commit[:12]}" if commit else "the version that wrote it"
    raise ResultsError(
        f"{origin} has schema version {version[:20]!r}, and this lab reads "
        f"{convert_1.MAJOR}.0 to {convert_1.MAJOR}.{convert_1.LAST_MINOR} and {major}.0 to "
        f"{SCHEMA_VERSION}. Read it with a lab of the same major version that is not older "
        f"({writer}), or run the campaign again."
    )


def brief(error: BaseException) -> str:
    """Return an exception's message as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200].rstrip(".")
