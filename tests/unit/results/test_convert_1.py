"""Tests that runs of schema major 1 stay readable: a committed run of 1.10, and variants of it."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from lab.analysis.metrics.registry import METRICS
from lab.core.errors import ResultsError
from lab.core.model import ARRIVALS
from lab.core.outcomes import FiringOutcome, TaskOutcome
from lab.report.run_tables import RunTables
from lab.report.terminal import terminal_tables
from lab.results import convert_1
from lab.results.arrow_schema import schema
from lab.results.schema import CSV_TABLES, TABLES
from lab.results.store import Store
from tests.factories.rows import a_row

RUN = Path(__file__).parents[2] / "data" / "run-1.10"
DERIVED = ("arrival_param_name",)  # from the kind of arrival


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A copy of the run of schema version 1.10."""
    return Store(Path(shutil.copytree(RUN, tmp_path / RUN.name)))


def former(store: Store, table: str) -> pd.DataFrame:
    """Return a CSV table as it is in the file, as text."""
    return pd.read_csv(store.folder / f"{table}.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("table", ["trial", "metric", "estimate", "trend", "campaign"])
def test_each_cell_has_its_value_under_its_present_name(store: Store, table: str) -> None:
    """Only names differ: of columns, of metrics and of kinds of arrival."""
    raw, read = former(store, table), store.read(table)
    assert len(raw) == len(read)
    for name in raw.columns:
        present = convert_1.COLUMNS.get(table, {}).get(name, name)
        renamed = convert_1.VALUES.get(table, {}).get(present, {})
        for old, new in zip(raw[name], read[present], strict=True):
            text = renamed.get(old, old)
            is_equal = text == str(new) if isinstance(new, str) else text and float(text) == new
            assert (pd.isna(new) and old == "") or is_equal, (name, old, new)


def test_added_columns_have_the_values_that_were_in_effect(store: Store) -> None:
    """No environment and no fault was selected; a trend was one of bursts."""
    trials = store.read("trial")
    assert set(trials.environment) == set(trials.fault) == {""}
    assert set(trials.arrival_param_name) == {""}
    assert set(store.read("trend").arrival) <= {"burst"}


def test_all_names_are_present_ones(store: Store) -> None:
    """The tables with a row for each task have other file names, too."""
    assert set(store.read("trial").arrival) == {"burst", "round-trip", "periodic"}
    assert set(store.read("trial").arrival) <= set(ARRIVALS)
    assert set(store.read("metric").metric) <= set(METRICS)
    assert set(store.read("outcome").outcome) <= set(TaskOutcome)
    assert set(store.read("firing").outcome) == {FiringOutcome.FIRED}
    assert len(store.read("firing")) == 6
    store.check()


def test_run_is_reported(store: Store) -> None:
    """The page and the tables of the terminal need no conversion of the run."""
    before = (store.folder / "trial.csv").read_bytes()
    titles = [title for title, *_ in terminal_tables(RunTables(store.folder))]
    assert titles
    assert (store.folder / "trial.csv").read_bytes() == before


def test_the_first_minor_lacks_the_columns_that_later_ones_added(store: Store) -> None:
    """They are null, or have the value that was in effect."""
    path = store.folder / "trial.csv"
    present = {present: old for old, present in convert_1.COLUMNS["trial"].items()}
    added = [present.get(name, name) for name in convert_1.ADDED["trial"]]
    rows = former(store, "trial")
    rows.drop(columns=set(added) & set(rows)).to_csv(path, index=False, lineterminator="\n")
    read = store.read("trial")
    assert list(read.columns) == [field.name for field in fields(TABLES["trial"])]
    assert read.t_exec_ns.isna().all()
    assert set(read.quota_cpus) == {0.0}
    assert read.n_done.tolist() == rows.n_done.astype(int).tolist()


def test_a_missing_column_of_the_first_minor_is_damage(store: Store) -> None:
    """The message names the column."""
    path = store.folder / "trial.csv"
    former(store, "trial").drop(columns="n_corrupted").to_csv(path, index=False)
    with pytest.raises(ResultsError, match=r"trial.csv .*missing: n_wrong_answer"):
        store.read("trial")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b",ok,", b",ok,,"), (b"inline", b"\xff"), (b"quick", b'qu"ick'), (b"noop", b'"no"op')],
)
def test_damage_is_one_sentence(store: Store, old: bytes, new: bytes) -> None:
    """A row of another length, bytes that are no text, and quotes within a cell."""
    path = store.folder / "trial.csv"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(ResultsError, match=r"trial.csv"):
        store.read("trial")


def test_an_unfinished_row_is_ignored(store: Store) -> None:
    """A kill may have cut the last row short."""
    path = store.folder / "trial.csv"
    whole = store.read("trial")
    path.write_bytes(path.read_bytes()[:-20])
    pd.testing.assert_frame_equal(store.read("trial"), whole.iloc[:-1])


def test_a_row_is_not_appended(store: Store) -> None:
    """A file never has rows of two versions."""
    before = (store.folder / "trial.csv").read_bytes()
    with pytest.raises(ResultsError, match=r"schema version 1.10: .*start a new run"):
        store.append(a_row("trial"))
    assert (store.folder / "trial.csv").read_bytes() == before


@pytest.mark.parametrize("table", CSV_TABLES)
def test_tables_that_are_computed_again_are_read(store: Store, table: str) -> None:
    """`lab report` may replace a derived table; its present names are left unchanged."""
    store.replace(table, store.read(table))
    header = (store.folder / f"{table}.csv").read_text().partition("\n")[0]
    assert header.split(",") == schema(table).names
    store.read(table)


@pytest.mark.parametrize("table", convert_1.COLUMNS)
def test_present_names_are_columns(table: str) -> None:
    """Each rename ends at a column of today's schema, and starts at none."""
    names = set(schema(table).names)
    assert set(convert_1.COLUMNS[table].values()) <= names
    assert not set(convert_1.COLUMNS[table]) & names
    assert set(convert_1.VALUES.get(table, {})) <= names


def test_present_metrics_exist() -> None:
    """Each rename ends at a metric of the registry, and starts at none."""
    computed = {"utilization_of_capacity", "throughput_of_reference"}
    assert set(convert_1.METRICS.values()) <= {*METRICS, *computed}
    assert not set(convert_1.METRICS) & set(METRICS)
