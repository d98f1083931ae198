"""The run folder keeps finished rows through kills, full disks and other labs."""

from __future__ import annotations

import errno
import os
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
from lab.results.dictionary import describe
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, TABLES
from lab.results.store import Store
from tests.factories.rows import a_row, as_rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store in a fresh run folder."""
    return Store(tmp_path / "run")


@pytest.mark.parametrize("table", CSV_TABLES)
def test_appended_and_replaced_rows_are_read(store: Store, table: str) -> None:
    """A table holds its rows in the order in which they came, or those it was replaced by."""
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
def test_a_trials_tables_are_read(store: Store, table: str) -> None:
    """A trial's table is what was written, and written again it is the new one."""
    folder = store.trial_folder("t", 1)
    store.write_parquet(folder, table, [a_row(table)])
    store.write_parquet(folder, table, rows := [a_row(table), a_row(table)])
    assert as_rows(store.read(table, folder), table) == rows
    assert store.read(table).empty  # no trial is finished yet


def test_a_trial_has_an_absolute_folder_where_results_are_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--results`` is relative by default, and processes of a trial have other current folders."""
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


@pytest.mark.parametrize("text", ["plain", "line 1\nline 2"])
def test_a_row_cut_by_a_kill_is_removed_by_the_next_append(store: Store, text: str) -> None:
    """Wherever the write was cut, the file is mended with a warning and grows on as if nothing."""
    rows = [a_row("metric", trial_id=str(number), method=text) for number in range(3)]
    store.replace("metric", rows[:2])
    path = store.folder / "metric.csv"
    two = path.stat().st_size
    store.append(rows[2])
    whole = path.read_bytes()
    for size in range(two + 1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.warns(UserWarning, match="cut short by a kill"):
            Store(store.folder).append(rows[2])
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
    with largest_file(len(before) + room), pytest.raises(ResultsError, match="full.*Free some"):
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
        "import sys, pathlib, lab.results.store\n"
        "with lab.results.store.Store(pathlib.Path(sys.argv[1])).writing():\n"
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


def test_nothing_is_appended_to_a_damaged_table(store: Store) -> None:
    """A table that cannot be read is left as it is, to the last byte."""
    store.append(a_row("metric"))
    path = store.folder / "metric.csv"
    path.write_bytes(damaged := path.read_bytes().replace(b"attempt", b"try"))
    for again in (Store(store.folder), store):
        with pytest.raises(ResultsError, match="unknown: try; missing: attempt"):
            again.append(a_row("metric"))
        assert path.read_bytes() == damaged


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
    with pytest.raises(ResultsError, match=r"trial.csv has the key x, 1 twice"):
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
    """results/README.md names every column; `results.dictionary.describe()` writes it."""
    committed = Path(__file__).parents[3] / "results" / "README.md"
    assert committed.read_text() == describe()
    for table, row_type in TABLES.items():
        assert f"\n## {table}\n" in describe()
        assert all(f"| `{f.name}` | " in describe() for f in fields(row_type))
