"""Ways to spoil a file of a run, as Hypothesis strategies: each gives a function of its path."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st

Spoil: TypeAlias = Callable[[Path], object]
Draw: TypeAlias = st.DrawFn
SPARSE = 40 << 30
CELLS = (
    *("", "0", "-1", "1.5", "nan", "-inf", "1e308", "9223372036854775807", "9" * 40, "None"),
    *("../../up", "/etc/passwd", "a b", "=1+1", '"', '"a\n', "\x1b[31m", "\u202e", "x" * 5_000),
    *("ok", "failed", "interrupted", "skipped", "burst", "paced", "noop", "os:system", "{}", "[]"),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(CELLS)
    | st.sampled_from([0, -1, 2**63, 10**30, "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
WORDS = st.integers(0, 9) | st.integers(-(2**63), 2**63 - 1)


@st.composite
def of_bytes(draw: Draw) -> Spoil:
    """Flip, cut, insert or repeat bytes."""
    places = draw(st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=8))
    cut, again = draw(st.floats(0, 1)), draw(st.booleans())
    put = draw(st.binary(max_size=8))

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for place, mask in places:
            if data:
                data[int(place * len(data))] ^= mask
        middle = int(cut * len(data))
        end = data[middle:] if places or put else b""
        path.write_bytes(bytes(data[:middle] + put + (data[:middle] if again else b"") + end))

    return spoil


@st.composite
def of_csv(draw: Draw) -> Spoil:
    """Change, swap, repeat or remove cells, rows and columns."""
    row, column, other = (draw(st.integers(0, 60)) for _ in range(3))
    cell = draw(st.sampled_from(CELLS))
    kind = draw(st.sampled_from(["cell", "column", "swap", "repeat", "remove", "drop", "header"]))

    def spoil(path: Path) -> None:
        rows = [line.split(",") for line in path.read_text(errors="replace").splitlines()]
        if not rows:
            return
        here = rows[row % len(rows)]
        a, b = column % len(here), other % len(here)
        if kind == "cell":
            here[a] = cell
        elif kind == "column":
            for line in rows[1:]:
                line[a % len(line)] = cell
        elif kind == "swap":
            here[a], here[b] = here[b], here[a]
        elif kind == "repeat":
            rows.append(here)
        elif kind == "remove":
            rows.remove(here)
        elif kind == "drop":
            rows[:] = [line[:a] + line[a + 1 :] for line in rows]
        else:
            rows[0][a % len(rows[0])] = cell
        path.write_text("".join(f"{','.join(line)}\n" for line in rows))

    return spoil


@st.composite
def of_json(draw: Draw) -> Spoil:
    """Put any value in the place of one that lies somewhere within, or remove or repeat it."""
    steps, value = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6)), draw(JSON)
    kind = draw(st.sampled_from(["change", "change", "remove", "repeat", "deep"]))

    def spoil(path: Path) -> None:
        whole = json.loads(path.read_bytes())
        at: Any = whole
        for step in steps[:-1]:
            inner = list(at) if isinstance(at, dict) else range(len(at))
            below = at[inner[step % len(inner)]] if inner else None
            if not (isinstance(below, dict | list) and below):
                break
            at = below
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = keys[steps[-1] % len(keys)]
        if kind == "remove":
            del at[key]
        elif kind == "repeat" and isinstance(at, list):
            at.append(at[key])
        else:
            at[key] = value
        path.write_text("[" * 200_000 if kind == "deep" else json.dumps(whole))

    return spoil


@st.composite
def of_parquet(draw: Draw) -> Spoil:
    """Change values, types, rows or columns of a file that stays sound as Parquet."""
    place, row, number = draw(st.integers(0, 30)), draw(st.integers(0, 99)), draw(WORDS)
    kind = draw(st.sampled_from(["value", "null", "text", "float", "drop", "repeat", "bare"]))

    def spoil(path: Path) -> None:
        table = pyarrow.parquet.read_table(path)
        at = place % table.num_columns
        field, values = table.schema.field(at), table.column(at).to_pylist()
        types = {"text": pa.string(), "float": pa.float64()}
        if kind in ("value", "null") and values:
            is_text, is_null = pa.types.is_string(field.type), kind == "null"
            values[row % len(values)] = None if is_null else str(number) if is_text else number
            field = field.with_nullable(True)
        elif kind in types:
            field = field.with_type(types[kind])
            values = [None if v is None else str(v) if kind == "text" else 0.5 for v in values]
        columns = {name: table.column(name) for name in table.column_names}
        columns[field.name] = pa.array(values, field.type)
        if kind == "drop":
            del columns[field.name]
        fields = [field if f.name == field.name else f for f in table.schema if f.name in columns]
        about = None if kind == "bare" else table.schema.metadata
        table = pa.table(columns, schema=pa.schema(fields, metadata=about))
        table = pa.concat_tables([table, table]) if kind == "repeat" else table
        pyarrow.parquet.write_table(table, sink := io.BytesIO())
        path.write_bytes(sink.getvalue())

    return spoil


@st.composite
def of_words(draw: Draw) -> Spoil:
    """Change words of 64 bits, and add some."""
    changes = draw(st.lists(st.tuples(st.integers(0, 2_000), WORDS), max_size=10))
    more = draw(st.lists(WORDS, max_size=20))

    def spoil(path: Path) -> None:
        data = path.read_bytes()
        words = list(struct.unpack(f"{len(data) // 8}q", data[: len(data) // 8 * 8]))
        for place, word in changes:
            if words:
                words[place % len(words)] = word
        path.write_bytes(struct.pack(f"{len(words) + len(more)}q", *words, *more))

    return spoil


def _replaced(put: Spoil) -> Spoil:
    def spoil(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        put(path)

    return spoil


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE)


def of_kinds(outside: Path) -> st.SearchStrategy[Spoil]:
    """Put something else in the place of a file or a folder; links lead to files in `outside`."""
    inside = [outside / "key", outside, Path("nowhere"), Path("campaign.csv"), Path("..")]
    kinds: list[Spoil] = [
        *(lambda path: None, os.mkfifo, Path.mkdir, Path.touch, _sparse),
        *((lambda path, to=to: path.symlink_to(to)) for to in inside),
        lambda path: path.write_bytes(b"\x00\xff" * 50),
        lambda path: path.write_text("<html>"),
    ]
    return st.sampled_from(kinds).map(_replaced)


FORMATS = {".csv": of_csv(), ".json": of_json(), ".parquet": of_parquet(), ".bin": of_words()}


def spoils(path: Path, outside: Path) -> st.SearchStrategy[Spoil]:
    """Give all that can be done to one file or folder."""
    kinds = of_kinds(outside)
    if path.is_dir():
        return kinds
    of_format = FORMATS.get(path.suffix)
    return st.one_of(*([of_format, of_format] if of_format is not None else []), of_bytes(), kinds)
