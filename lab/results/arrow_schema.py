"""The Arrow schema of each table in `results/schema`, and the rules by which a file follows it."""

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
from lab.results.schema import SCHEMA_VERSION, TABLES

_ARROW_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}
# Folders and files are named by these.
IDS = ("campaign_id", "trial_id", "fingerprint_id")
ID = r"^(\w[\w.-]*)?$"
MINOR = re.compile("[0-9]{1,4}")
RESTORE = "Restore the file from a copy, or move the run folder away and run the campaign again."


@functools.cache
def schema(table: str) -> pa.Schema:
    """Make the Arrow schema of a table from its dataclass: types, nulls, units, descriptions.

    Raises:
        UnknownNameError: No table has that name.
    """
    if table not in TABLES:
        raise UnknownNameError("table", table, TABLES)
    hints = typing.get_type_hints(TABLES[table])
    columns = [_column(field, hints[field.name]) for field in fields(TABLES[table])]
    return pa.schema(columns, metadata={"table": table, "schema_version": SCHEMA_VERSION})


def _column(declared: Field[Any], hint: Any) -> pa.Field:
    kinds = typing.get_args(hint) or (hint,)
    about = {name: declared.metadata[name] for name in ("about", "unit")}
    nullable = type(None) in kinds
    return pa.field(declared.name, _ARROW_TYPES[kinds[0]], nullable=nullable, metadata=about)


def key_of(table: str) -> list[str]:
    """Return the columns whose values no two rows of a table share."""
    return str(TABLES[table].__doc__).partition(" Key: ")[2].rstrip(".").split(", ")


@functools.cache
def declared(table: str) -> typing.Mapping[str, typing.Mapping[str, Any]]:
    """Return what `lab.results.schema.column` declares of each column of a table, by its name."""
    return {field.name: field.metadata for field in fields(TABLES[table])}


def require_columns(
    names: Sequence[str], table: str, origin: Path, *, in_full: bool = False
) -> None:
    """Refuse columns that are not the table's in their order.

    Those that a later minor added may be missing, unless `in_full`.

    Raises:
        ResultsError: A column is unknown, out of its order, or missing though no minor added it.
    """
    about = declared(table)
    first = {name for name in about if in_full or about[name]["since"] == "1.0"}
    expected = [name for name in about if name in first or name in names]
    if list(names) != expected:
        unknown = ", ".join(sorted(set(map(str, names)) - set(about)))[:200] or "none"
        missing = ", ".join(sorted(set(expected) - set(names))) or "none"
        raise ResultsError(
            f"{origin} does not hold the columns of table {table!r} in their order "
            f"(unknown: {unknown}; missing: {missing}). {RESTORE}"
        )


def require_all_columns(names: Sequence[str], table: str, origin: Path) -> None:
    """Refuse to append to a file that lacks columns of this version.

    Raises:
        ResultsError: An earlier minor version wrote the file.
    """
    missing = [name for name in declared(table) if name not in names]
    if missing:
        raise ResultsError(
            f"{origin} lacks the columns {', '.join(missing)} of schema version {SCHEMA_VERSION}: "
            "continue the run with the version of the lab that began it, or start a new run."
        )


def fill_columns(data: pa.Table, table: str, wanted: Sequence[str] | None = None) -> pa.Table:
    """Add the columns that a later minor added: null, or the fill that the column declares.

    Args:
        data: What a file of an earlier minor holds.
        table: The name of its table.
        wanted: The columns of the result; None means all.
    """
    columns = [column for column in schema(table) if wanted is None or column.name in wanted]
    for position, column in enumerate(columns):
        if column.name not in data.column_names:
            value = None if column.nullable else declared(table)[column.name]["fill"]
            filled = pa.repeat(pa.scalar(value, column.type), len(data))
            data = data.add_column(position, column, filled)
    return data


def require_values(
    array: pa.Array, column: pa.Field, where: str, then: str, table: str = ""
) -> None:
    """Refuse a null where there may be none, a number that cannot be, and an id that is a path.

    With a `table`, numbers are held against the range that it declares for the column.

    Raises:
        ResultsError: One of the values may not be there.
    """
    if array.null_count and not column.nullable:
        raise ResultsError(f"{where}: column {column.name!r} has an empty value. {then}")
    if table and not pa.types.is_string(column.type):
        _require_range(array, column.name, declared(table)[column.name], (where, then))
    if column.name in IDS:
        foreign = array.filter(pa_compute.invert(pa_compute.match_substring_regex(array, ID)))
        if len(foreign):
            raise ResultsError(
                f"{where}: {column.name} {foreign[0].as_py()[:80]!r} is no name of letters, digits "
                f"and -._ alone. {then}"
            )


def _require_range(
    array: pa.Array, name: str, about: typing.Mapping[str, Any], said: tuple[str, str]
) -> None:
    """Refuse the first number of a column outside its range, by its row; nan and inf always."""
    least, most = about["least"], about["most"]
    wrong = pa_compute.invert(pa_compute.is_finite(array))
    if least is not None:
        wrong = pa_compute.or_(wrong, pa_compute.less(array, least))
    if most is not None:
        wrong = pa_compute.or_(wrong, pa_compute.greater(array, most))
    row = pa_compute.index(wrong, value=True).as_py()
    if row >= 0:
        ends = {"at least": least, "at most": most}
        known = [f"{end} {limit:,}" for end, limit in ends.items() if limit is not None]
        raise ResultsError(
            f"{said[0]}: column {name!r} is {array[row].as_py()} in row {row + 1}, and can only be "
            f"{' and '.join(known) or 'a finite number'}. {said[1]}"
        )


def require_known_version(campaign: bytes, origin: Path) -> None:
    """Refuse a ``campaign.csv`` of another major or a later minor, whatever its columns are.

    Raises:
        ResultsError: This lab does not read its version.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(campaign.decode(errors="replace"))))
    except csv.Error as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    for row in rows:
        if version := row.get("schema_version"):
            require_version(version, origin, commit=row.get("git_commit") or "")


def require_version(version: str, origin: Path, commit: str = "") -> None:
    """Refuse another major version and a later minor one; `commit` is the lab's that wrote it.

    Raises:
        ResultsError: This lab does not read that version.
    """
    major, _, minor = SCHEMA_VERSION.partition(".")
    its_major, _, its_minor = version.partition(".")
    if its_major == major and MINOR.fullmatch(its_minor) and int(its_minor) <= int(minor):
        return
    writer = f"commit {commit[:12]}" if commit else "the version that wrote it"
    raise ResultsError(
        f"{origin} has schema version {version[:20]!r}, this lab reads {major}.0 to "
        f"{SCHEMA_VERSION}. Read it with a lab of its major version that is not older "
        f"({writer}), or run the campaign again."
    )


def brief(error: BaseException) -> str:
    """Put the message of a library into one line of at most 200 letters."""
    return " ".join(str(error).split())[:200].rstrip(".")
