"""Tests that runs of earlier minor schema versions are read, and all other versions refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from lab.campaign import run_folder
from lab.core.errors import ResultsError
from lab.planning.plan import Plan
from lab.results.arrow_schema import declared, schema
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, SCHEMA_VERSION, TABLES
from lab.results.store import Store
from tests.factories.rows import a_row


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in a new run folder."""
    return Store(tmp_path / "run")


def test_unknown_major_version_is_refused(store: Store) -> None:
    """A run of a later major version is neither read nor continued; an earlier minor is read."""
    store.append(a_row("campaign", schema_version="2.0"))
    store.append(a_row("metric"))
    assert len(Store(store.folder).read("metric")) == 1
    store.replace("campaign", [a_row("campaign", schema_version="3.0")])
    for table in CSV_TABLES:
        with pytest.raises(ResultsError, match="schema version '3.0', and this lab reads"):
            Store(store.folder).read(table)
    with pytest.raises(ResultsError, match=r"schema version '3.0'"):
        Store(store.folder).append(a_row("metric"))


def of_minor(store: Store, minor: int) -> None:
    """Convert the files of a run to an earlier minor version."""
    names = {table: [n for n, c in declared(table).items() if later(c, minor)] for table in TABLES}
    for table in CSV_TABLES:
        path = store.folder / f"{table}.csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if table == "campaign":
            frame["schema_version"] = f"2.{minor}"
        frame.drop(columns=names[table]).to_csv(path, index=False, lineterminator="\n")
    for path in store.folder.glob("trials/*/*.parquet"):
        table = pq.read_table(path).drop_columns(names[path.stem])
        metadata = {**table.schema.metadata, b"schema_version": f"2.{minor}".encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)


def later(column: Mapping[str, Any], minor: int) -> bool:
    """Return whether a column is newer than a minor version."""
    return int(column["since"].partition(".")[2]) > minor


MINORS = range(int(SCHEMA_VERSION.partition(".")[2]) + 1)


@pytest.mark.parametrize("minor", MINORS)
def test_run_of_every_minor_is_read(store: Store, minor: int) -> None:
    """Later columns are null or have their declared fill; the others are unchanged."""
    for table in CSV_TABLES:
        store.append(a_row(table))
    for table in PARQUET_TABLES:
        store.write_parquet(store.trial_folder("x", 1), table, [a_row(table)])
    of_minor(store, minor)
    for table in TABLES.keys() - {"changepoint"}:
        row = Store(store.folder).read(table).iloc[0]
        for name, column in declared(table).items():
            expected = getattr(a_row(table), name)
            if name == "schema_version":
                expected = f"2.{minor}"
            if later(column, minor):
                expected = pd.NA if schema(table).field(name).nullable else column["fill"]
            assert row[name] is expected or row[name] == expected


def test_every_later_column_has_a_value_for_older_files() -> None:
    """A column that a minor version added is nullable, a text, or has a numeric fill."""
    for table in TABLES:
        for name, column in declared(table).items():
            kind = schema(table).field(name)
            assert int(column["since"].removeprefix("2.")) < MINORS.stop
            if column["since"] != "2.0" and not kind.nullable:
                assert (column["fill"] == "") == (str(kind.type) == "string")


def test_append_to_a_table_without_a_column_is_refused(store: Store) -> None:
    """A file never has rows of two versions; the message names the next steps."""
    store.append(a_row("trial"))
    path = store.folder / "trial.csv"
    pd.read_csv(path).drop(columns="pass_env").to_csv(path, index=False)
    before = path.read_bytes()
    with pytest.raises(ResultsError, match=r"trial.csv .*pass_env"):
        Store(store.folder).append(a_row("trial"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "version", ["1.12", "2.999", "2.x", "2", "2.-1", "2.²", "2." + "9" * 5_000]
)
def test_later_minor_is_refused(store: Store, version: str) -> None:
    """Its new columns may separate cells that this version would pool."""
    store.replace("campaign", [a_row("campaign", schema_version=version, git_commit="ab" * 20)])
    with pytest.raises(ResultsError, match=r"reads 1.0 to 1.11 and 2.0 to 2.*commit abababababab"):
        store.read("trial")


def test_version_is_checked_before_the_columns(store: Store) -> None:
    """A later major version may have other columns; the error must name the version."""
    store.folder.mkdir()
    (store.folder / "campaign.csv").write_text("id,schema_version\nx,7.1\n")
    with pytest.raises(ResultsError, match="schema version '7.1'"):
        store.read("campaign")


def test_run_of_an_earlier_minor_is_not_resumed(tmp_path: Path) -> None:
    """The error has the versions and the commit, before any trial runs."""
    store = run_folder.create(tmp_path, run_folder.Run(Plan((), ()), "quick", 1, 1, "bench"))
    campaign = replace(a_row("campaign"), schema_version="1.11", git_commit="c0ffee")
    store.replace("campaign", [campaign])
    with pytest.raises(ResultsError, match=r"schema version 1.11, .*commit c0ffee"):
        run_folder.load(store.folder)
