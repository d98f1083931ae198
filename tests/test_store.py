"""The run folder keeps what it was given, exactly, and refuses what it cannot read."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import ResultsError, UnknownNameError
from lab.formats import schema
from lab.store import Store, describe
from lab.tables import CSV_TABLES, PARQUET_TABLES, TABLES, EnvironmentRow, MetricRow, TaskRow

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["=1+1", "@SUM(A1)", "-2", 'a "quoted" word', "two\nlines", "\r", "a,b", "NA", "null", "  ", ""]
)
KINDS = {int: INT64, float: FLOAT, str: TEXT}


def rows_of(table: str) -> st.SearchStrategy[list[Any]]:
    """Make any rows that the table's annotations allow."""
    columns = {}
    for name, hint in get_type_hints(TABLES[table]).items():
        kinds = get_args(hint) or (hint,)
        values = KINDS[kinds[0]]
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


@contextmanager
def fresh_store() -> Iterator[Store]:
    """Give a store in a folder of its own, once for each example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        yield Store(Path(folder))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store in a fresh run folder."""
    return Store(tmp_path / "run")


@pytest.mark.parametrize("table", [name for name in CSV_TABLES if name != "campaign"])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_csv_returns_the_rows_that_were_appended(table: str, data: st.DataObject) -> None:
    """Any values of the annotated types come back equal, nulls as nulls, by append or replace."""
    rows = data.draw(rows_of(table))
    with fresh_store() as store:
        for row in rows:
            store.append(row)
        assert as_rows(store.read(table), table) == rows
        store.replace(table, rows)
        assert as_rows(Store(store.folder).read(table), table) == rows


def test_large_csv_is_read_whole(store: Store) -> None:
    """Rows with line ends in them, in a file of several megabytes, are read as they were."""
    rows = [a_row("metric", trial_id=str(n), method="long, \n" * 2_000) for n in range(200)]
    rows.append(a_row("metric", method="x\n" * 2_000_000))
    store.replace("metric", rows)
    assert as_rows(store.read("metric"), "metric") == rows


@pytest.mark.parametrize("table", PARQUET_TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_parquet_returns_the_rows_that_were_written(table: str, data: st.DataObject) -> None:
    """Any values come back equal from rows, and from the frame that was read."""
    rows = data.draw(rows_of(table))
    with fresh_store() as store:
        store.write_parquet(store.folder, table, rows)
        frame = store.read(table, store.folder)
        assert as_rows(frame, table) == rows
        store.write_parquet(store.folder, table, frame)
        assert as_rows(store.read(table, store.folder), table) == rows


@pytest.mark.parametrize("table", TABLES)
def test_types_come_from_the_annotations(table: str, store: Store) -> None:
    """A column that may be null has pandas' nullable type, filled or empty; no integer is float."""
    if table in CSV_TABLES:
        store.append(a_row(table))
        frames = [store.read(table), Store(store.folder / "none").read(table)]
    else:
        store.write_parquet(store.folder, table, [a_row(table)])
        frames = [store.read(table, store.folder), store.read(table)]
    names = {int: "int64", float: "float64", int | None: "Int64", float | None: "Float64"}
    for frame in frames:
        for name, hint in get_type_hints(TABLES[table]).items():
            assert str(frame[name].dtype) == names.get(hint, "str")


def test_parquet_carries_units_and_meanings(store: Store) -> None:
    """Whoever opens a file without the lab finds unit and meaning beside each column."""
    store.write_parquet(store.folder, "task", [a_row("task")])
    written = pq.read_schema(store.folder / "task.parquet")
    assert written.metadata[b"schema_version"] == b"1.0"
    assert written.field("t0_ns").metadata == {b"about": b"intended instant", b"unit": b"ns"}
    assert written.field("t0_ns").type == pa.int64()


def test_a_trial_is_finished_when_its_row_is_there(store: Store) -> None:
    """Tables of a trial without a row in trial.csv do not count, in any reading."""
    for attempt in (1, 2):
        store.write_parquet(store.trial_folder("t", attempt), "task", [a_row("task")])
    assert store.finished_trials() == set()
    assert store.read("task").empty
    store.append(a_row("trial", trial_id="t", attempt=2))
    store.append(a_row("trial", trial_id="skipped", attempt=1))
    assert store.finished_trials() == {("t", 2), ("skipped", 1)}
    assert store.read("task").attempt.tolist() == [2]


@pytest.mark.parametrize("text", ["plain", 'a "b"', "line 1\nline 2"])
def test_a_row_cut_by_a_kill_is_left_out_then_removed(store: Store, text: str) -> None:
    """Wherever the write was cut, finished rows are read, and the next append mends the file."""
    rows = [a_row("metric", trial_id=str(number), method=text) for number in range(3)]
    for row in rows:
        store.append(row)
    path = store.folder / "metric.csv"
    whole = path.read_bytes()
    store.replace("metric", rows[:2])
    two = path.stat().st_size
    for size in range(two + 1, len(whole)):
        path.write_bytes(whole[:size])
        again = Store(store.folder)
        assert as_rows(again.read("metric"), "metric") == rows[:2]
        with pytest.warns(UserWarning, match="cut short by a kill"):
            again.append(rows[2])
        assert path.read_bytes() == whole


def test_a_header_cut_by_a_kill_is_written_again(store: Store) -> None:
    """A kill during the very first write leaves a table that is empty, not damaged."""
    store.append(a_row("metric"))
    path = store.folder / "metric.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert Store(store.folder).read("metric").empty
    with pytest.warns(UserWarning, match="cut short"):
        Store(store.folder).append(a_row("metric"))
    assert path.read_bytes() == whole


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse every byte beyond `size` of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_finished_rows_as_they_were(store: Store, room: int) -> None:
    """A write that does not fit whole is taken back and told; with space the next one works."""
    store.append(a_row("metric"))
    path = store.folder / "metric.csv"
    before = path.read_bytes()
    with largest_file(len(before) + room), pytest.raises(ResultsError, match="full.*free some"):
        store.append(a_row("metric", trial_id="second"))
    assert path.read_bytes() == before
    store.append(a_row("metric", trial_id="second"))
    assert store.read("metric").trial_id.tolist() == ["x", "second"]


def test_a_row_that_never_reached_the_disk_is_taken_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems tell a full disk only when asked to sync; then the row is not there."""
    store.append(a_row("metric"))
    before = (store.folder / "metric.csv").read_bytes()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ResultsError, match="full"):
        store.append(a_row("metric", trial_id="second"))
    assert (store.folder / "metric.csv").read_bytes() == before


def test_a_full_disk_leaves_the_old_file_in_place(store: Store) -> None:
    """A rewritten table or a Parquet file is the old one or the new one, and leaves no litter."""
    store.write_parquet(store.folder, "task", [a_row("task")])
    store.replace("metric", [a_row("metric")])
    before = {path: path.read_bytes() for path in store.folder.iterdir()}
    many = [a_row("task", task_id=number) for number in range(100)]
    with largest_file(100):
        with pytest.raises(ResultsError, match="full"):
            store.write_parquet(store.folder, "task", many)
        with pytest.raises(ResultsError, match="full"):
            store.replace("metric", [a_row("metric")] * 9)
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before


def test_one_lab_at_a_time_writes_a_run(store: Store) -> None:
    """A second lab is refused with a sentence; when the first is gone, even killed, it may."""
    script = (
        "import sys, pathlib, lab.store\n"
        "with lab.store.Store(pathlib.Path(sys.argv[1])).writing():\n"
        "    print('in', flush=True); sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"in\n"
        with pytest.raises(ResultsError, match="Another lab is writing"), store.writing():
            raise AssertionError
    finally:
        first.kill()
        first.communicate()
    with store.writing():
        store.append(a_row("metric"))


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
    ],
)
def test_a_value_of_a_wrong_type_is_refused(store: Store, column: str, value: Any) -> None:
    """A float for an integer, text for a number, or a null where none may be is not written."""
    row = replace(a_row("metric"), **{column: value})
    with pytest.raises(ResultsError, match=f"column '{column}'"):
        store.append(row)
    assert store.read("metric").empty


def test_a_frame_with_float_nanoseconds_is_refused(store: Store) -> None:
    """Nanoseconds that went through a float have lost digits, so a float column is no input."""
    frame = pd.DataFrame([asdict(a_row("task")), asdict(a_row("task"))])
    frame.loc[0, "t3_ns"] = np.nan
    assert frame.t3_ns.dtype == "float64"
    with pytest.raises(ResultsError, match="'t3_ns' is given double, not int64"):
        store.write_parquet(store.folder, "task", frame)
    with pytest.raises(ResultsError, match="missing: answer"):
        store.write_parquet(store.folder, "task", frame.drop(columns="answer"))


def damaged_csv(text: str) -> dict[str, bytes]:
    """Make every kind of damage from a sound metric.csv of two rows."""
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
        "does not hold the columns": b"\x89PNG\r\n\x1a\n\x00\x01",
        "unknown: ": b"\n" + text.encode(),
    }


@pytest.mark.parametrize("sentence", list(damaged_csv("\n\n\n")))
def test_a_damaged_csv_is_refused_with_one_sentence(store: Store, sentence: str) -> None:
    """Nothing is read from a damaged table, nothing is appended to it, nothing in it is lost."""
    store.append(a_row("metric"))
    store.append(a_row("metric", trial_id="y"))
    path = store.folder / "metric.csv"
    damaged = damaged_csv(path.read_text())[sentence]
    path.write_bytes(damaged)
    with pytest.raises(ResultsError) as caught:
        Store(store.folder).read("metric")
    told = str(caught.value)
    assert sentence in told
    assert "metric.csv" in told
    assert "Restore" in told
    assert "\n" not in told
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_parquet_is_refused(store: Store, share: float) -> None:
    """A Parquet file that is not whole is told by name, wherever it was cut."""
    store.write_parquet(store.folder, "task", [a_row("task")] * 50)
    path = store.folder / "task.parquet"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ResultsError, match=r"task.parquet is damaged: .*Restore"):
        store.read("task", store.folder)


def test_a_flipped_bit_in_a_parquet_is_refused(store: Store) -> None:
    """A page that does not fit its checksum is not a measurement."""
    rows = [a_row("task", task_id=number * 7919) for number in range(500)]
    store.write_parquet(store.folder, "task", rows)
    path = store.folder / "task.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 4
    path.write_bytes(content)
    with pytest.raises(ResultsError, match="damaged"):
        store.read("task", store.folder)


@pytest.mark.parametrize("change", ["unit", "type", "version", "column", "null"])
def test_a_parquet_of_another_schema_is_refused(store: Store, change: str) -> None:
    """A wrong unit, type, column, null or major version is refused, however plausible the rest."""
    table = pa.Table.from_pylist([asdict(a_row("task"))], schema=schema("task"))
    position = table.schema.get_field_index("t0_ns")
    column = table.schema.field("t0_ns")
    if change == "unit":
        table = table.cast(table.schema.set(position, column.with_metadata({"unit": "us"})))
    elif change == "type":
        table = table.cast(table.schema.set(position, column.with_type(pa.float64())))
    elif change == "version":
        table = table.replace_schema_metadata({"schema_version": "2.0"})
    elif change == "column":
        table = table.drop_columns("t0_ns")
    else:
        lax = table.schema.field("task_id").with_nullable(nullable=True)
        table = table.cast(table.schema.set(1, lax)).set_column(
            1, lax, pa.array([None], pa.int64())
        )
    store.folder.mkdir()
    pq.write_table(table, store.folder / "task.parquet")
    sentences = {"version": "schema version '2.0'", "column": "missing: t0_ns", "null": "'task_id'"}
    with pytest.raises(ResultsError, match=sentences.get(change, "'t0_ns' holds")):
        store.read("task", store.folder)


def test_an_unknown_major_version_is_refused_everywhere(store: Store) -> None:
    """A run of another major is neither read nor continued; another minor is fine."""
    store.append(a_row("campaign", schema_version="1.9"))
    store.append(a_row("metric"))
    assert len(Store(store.folder).read("metric")) == 1
    store.replace("campaign", [a_row("campaign", schema_version="2.0")])
    for table in CSV_TABLES:
        with pytest.raises(ResultsError, match="schema version '2.0', this lab reads"):
            Store(store.folder).read(table)
    with pytest.raises(ResultsError, match=r"schema version '2.0'"):
        Store(store.folder).append(a_row("metric"))


def test_a_version_is_looked_at_before_the_columns(store: Store) -> None:
    """A later major may have other columns; then its version is the thing to tell."""
    store.folder.mkdir()
    (store.folder / "campaign.csv").write_text("id,schema_version\nx,7.1\n")
    with pytest.raises(ResultsError, match="schema version '7.1'"):
        store.read("campaign")


def test_a_campaign_that_is_no_text_is_refused(store: Store) -> None:
    """The file that carries the version may be damaged as any other; that is told as well."""
    store.folder.mkdir()
    (store.folder / "campaign.csv").write_bytes(b"schema_version\n" + b"\x00" * 200_000)
    with pytest.raises(ResultsError, match=r"campaign.csv is damaged: field larger"):
        store.read("metric")


def test_keys_are_unique_and_lead_somewhere(store: Store) -> None:
    """KAT-16: a run with a key twice, or with a reference to no row, is not a valid run."""
    for table in ("campaign", "environment", "trial", "metric"):
        store.append(a_row(table))
    store.check()
    shutil.copytree(store.folder, twice := store.folder.with_name("twice"))
    Store(twice).append(a_row("trial"))
    with pytest.raises(ResultsError, match=r"trial.csv holds the key x, 1 twice"):
        Store(twice).check()
    store.append(a_row("metric", trial_id="ghost"))
    with pytest.raises(ResultsError, match="trial_id 'ghost' is not in trial.csv"):
        store.check()


def test_a_table_is_asked_for_by_its_name(store: Store) -> None:
    """A mistyped table tells the known ones; a Parquet table is not appended to."""
    with pytest.raises(UnknownNameError, match="metric"):
        store.read("metrics")
    with pytest.raises(UnknownNameError, match="'task'"):
        store.append(a_row("task"))


def test_a_missing_trial_is_told_by_name(store: Store) -> None:
    """Asking for the tasks of a trial that has none says which file is not there."""
    with pytest.raises(ResultsError, match=r"task.parquet: No such file"):
        store.read("task", store.trial_folder("t", 1))


def test_the_readme_of_results_is_made_from_the_tables() -> None:
    """results/README.md names every column; write it again with `lab.store.describe()`."""
    committed = Path(__file__).parent.parent / "results" / "README.md"
    assert committed.read_text() == describe()
    for row_type in (EnvironmentRow, MetricRow, TaskRow):
        assert all(f"| `{f.name}` | " in describe() for f in fields(row_type))
