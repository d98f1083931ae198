"""Tests that a run folder keeps finished rows after kills, on full disks, and beside other labs."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from lab.core.errors import ResultsError, UnknownNameError
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, TABLES
from lab.results.store import Store
from tests.factories.rows import a_row, as_rows

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in a new run folder."""
    return Store(tmp_path / "run")


@pytest.mark.parametrize("table", CSV_TABLES)
def test_csv_table_returns_appended_and_replaced_rows(store: Store, table: str) -> None:
    """Rows are in the order of appending; `replace` replaces all of them."""
    assert store.read(table).empty
    key = fields(TABLES[table])[0].name
    first, second = a_row(table), a_row(table, **{key: "second"})
    for row in (first, second):
        store.append(row)
    assert as_rows(store.read(table), table) == [first, second]
    store.replace(table, [second])
    assert as_rows(Store(store.folder).read(table), table) == [second]
    store.append(first)
    assert as_rows(store.read(table), table) == [second, first]


@pytest.mark.parametrize("table", PARQUET_TABLES)
def test_parquet_table_returns_the_last_written_rows(store: Store, table: str) -> None:
    """A second write replaces the first."""
    folder = store.trial_folder("t", 1)
    store.write_parquet(folder, table, [a_row(table)])
    store.write_parquet(folder, table, rows := [a_row(table), a_row(table)])
    assert as_rows(store.read(table, folder), table) == rows
    assert store.read(table).empty  # no trial is finished yet


def test_trial_folder_is_absolute_for_relative_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of ``--results`` is relative, and a trial's processes have other folders."""
    monkeypatch.chdir(tmp_path)
    store = Store(Path("run"))
    folder = store.trial_folder("t", 1)
    folder.mkdir(parents=True)
    store.write_parquet(folder.absolute(), "task", [a_row("task")])
    assert as_rows(store.read("task", folder), "task") == [a_row("task")]
    outside = tmp_path / "other"
    outside.mkdir()
    with pytest.raises(ResultsError, match="is not inside run"):
        store.write_parquet(outside, "task", [])


def test_trial_is_finished_when_its_row_exists(store: Store) -> None:
    """`read` ignores the tables of a trial without a row in trial.csv."""
    for attempt in (1, 2):
        store.write_parquet(store.trial_folder("t", attempt), "task", [a_row("task")])
    assert store.finished_trials() == set()
    assert store.read("task").empty
    store.append(a_row("trial", trial_id="t", attempt=2))
    store.append(a_row("trial", trial_id="skipped", attempt=1))
    assert store.finished_trials() == {("t", 2), ("skipped", 1)}
    assert store.read("task").attempt.tolist() == [2]


@pytest.mark.parametrize("text", ["plain", "line 1\nline 2"])
def test_append_removes_a_truncated_row(store: Store, text: str) -> None:
    """For every length of the truncated row, `append` warns, removes it, and adds the new row."""
    rows = [a_row("metric", trial_id=str(number), method=text) for number in range(3)]
    store.replace("metric", rows[:2])
    path = store.folder / "metric.csv"
    size_of_two_rows = path.stat().st_size
    store.append(rows[2])
    whole = path.read_bytes()
    for size in range(size_of_two_rows + 1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.warns(UserWarning, match="cut short by a kill"):
            Store(store.folder).append(rows[2])
        assert path.read_bytes() == whole


def test_append_replaces_a_truncated_header(store: Store) -> None:
    """A table with a truncated header is empty, not damaged."""
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
    """Make the kernel reject writes beyond `size` bytes of a file, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 5])
def test_append_on_a_full_disk_keeps_finished_rows(store: Store, room: int) -> None:
    """An incomplete write is undone and reported; with free space, the next append succeeds."""
    store.append(a_row("metric"))
    path = store.folder / "metric.csv"
    before = path.read_bytes()
    with largest_file(len(before) + room), pytest.raises(ResultsError, match="full.*Free some"):
        store.append(a_row("metric", trial_id="second"))
    assert path.read_bytes() == before
    store.append(a_row("metric", trial_id="second"))
    assert store.read("metric").trial_id.tolist() == ["x", "second"]


def test_append_undoes_a_row_that_cannot_be_synced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems report a full disk only in `fsync`; the row is removed then."""
    store.append(a_row("metric"))
    before = (store.folder / "metric.csv").read_bytes()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ResultsError, match="full"):
        store.append(a_row("metric", trial_id="second"))
    assert (store.folder / "metric.csv").read_bytes() == before


def test_replace_on_a_full_disk_keeps_the_old_file(store: Store) -> None:
    """A failed `replace` or `write_parquet` changes no file and leaves no temporary file."""
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


def test_only_one_lab_writes_a_run(store: Store) -> None:
    """A second lab is refused until the first one ends."""
    with store.writing():
        with pytest.raises(ResultsError, match="Another lab is writing"), store.writing():
            raise AssertionError
        store.append(a_row("metric"))
    with store.writing():
        store.append(a_row("metric"))


def test_append_to_a_damaged_table_is_refused(store: Store) -> None:
    """The file of a damaged table is not changed."""
    store.append(a_row("metric"))
    path = store.folder / "metric.csv"
    path.write_bytes(damaged := path.read_bytes().replace(b"attempt", b"try"))
    for writer in (Store(store.folder), store):
        with pytest.raises(ResultsError, match="unknown: try; missing: attempt"):
            writer.append(a_row("metric"))
        assert path.read_bytes() == damaged


def test_binary_campaign_file_is_refused(store: Store) -> None:
    """The file with the schema version may be damaged like any other."""
    store.folder.mkdir()
    (store.folder / "campaign.csv").write_bytes(b"schema_version\n" + b"\x00" * 200_000)
    with pytest.raises(ResultsError, match=r"campaign.csv is damaged: field larger"):
        store.read("metric")


def test_check_finds_duplicate_keys_and_dangling_references(store: Store) -> None:
    """KAT-16: a run with a duplicate key, or with a reference to no row, is invalid."""
    for table in ("campaign", "environment", "trial", "metric"):
        store.append(a_row(table))
    store.check()
    shutil.copytree(store.folder, twice := store.folder.with_name("twice"))
    Store(twice).append(a_row("trial"))
    with pytest.raises(ResultsError, match=r"trial.csv has the key x, 1 twice"):
        Store(twice).check()
    store.append(a_row("metric", trial_id="ghost"))
    with pytest.raises(ResultsError, match="trial_id 'ghost' is not in trial.csv"):
        store.check()


def test_unknown_table_is_refused(store: Store) -> None:
    """The error for a mistyped table lists the known ones; `append` accepts only CSV tables."""
    with pytest.raises(UnknownNameError, match="metric"):
        store.read("metrics")
    with pytest.raises(UnknownNameError, match="'task'"):
        store.append(a_row("task"))


def test_missing_file_of_a_trial_is_named(store: Store) -> None:
    """The error for a trial without tasks names the missing file."""
    with pytest.raises(ResultsError, match=r"task.parquet: No such file"):
        store.read("task", store.trial_folder("t", 1))


def test_readme_of_results_is_generated_from_the_tables() -> None:
    """results/README.md describes every column; the command in CONTRIBUTING generates it."""
    written = (ROOT / "results" / "README.md").read_text()
    row = re.search(
        r"`results/README.md` \| `[^`]* -c '([^']*)'", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert row
    command = [sys.executable, "-c", row[1]]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == written
    for table, row_type in TABLES.items():
        assert f"\n## {table}\n" in written
        assert all(f"| `{f.name}` | " in written for f in fields(row_type))
