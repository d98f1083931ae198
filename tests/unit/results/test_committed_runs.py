"""Tests that this lab reads a run of every schema version of which one is committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.analysis.metrics.registry import METRICS
from lab.campaign import run_folder
from lab.core.model import ARRIVALS
from lab.core.outcomes import FiringOutcome, TaskOutcome
from lab.report.run_tables import RunTables
from lab.report.terminal import terminal_tables
from lab.results.arrow_schema import schema
from lab.results.dictionary import describe_tables
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, SCHEMA_VERSION
from lab.results.store import Store

DATA = Path(__file__).parents[2] / "data"
VERSIONS = sorted(path.name.removeprefix("run-") for path in DATA.glob("run-*"))


@pytest.fixture(params=VERSIONS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A copy of a small run: five trials, of which three ran."""
    return Store(Path(shutil.copytree(DATA / f"run-{request.param}", tmp_path / "run")))


def test_a_run_of_each_version_is_committed() -> None:
    """A new minor version brings a small run of the one before it."""
    minor = int(SCHEMA_VERSION.partition(".")[2])
    assert {"1.10", *(f"2.{number}" for number in range(minor))} <= set(VERSIONS)


def test_every_table_is_read(store: Store) -> None:
    """Each has the columns of today's schema, and only present names."""
    for table in (*CSV_TABLES, *PARQUET_TABLES):
        columns = [name for name in store.read(table).columns if name != "attempt"]
        assert columns == [name for name in schema(table).names if name != "attempt"]
    store.check()
    trials = store.read("trial")
    assert trials.arrival.tolist().count("periodic") == 1
    assert set(trials.arrival) <= set(ARRIVALS)
    assert set(trials.fault) == set(trials.environment) == {""}
    assert set(store.read("metric").metric) <= set(METRICS)
    assert set(store.read("outcome").outcome) <= set(TaskOutcome)
    assert set(store.read("firing").outcome) <= set(FiringOutcome)


def test_its_plan_has_the_trials_of_its_table(store: Store) -> None:
    """The ids of the specs, of any version, are those of the rows."""
    plan = run_folder.parsed(store.folder).plan
    specs = (*plan.trials, *(skip.spec for skip in plan.skips))
    assert {spec.id for spec in specs} == set(store.read("trial").trial_id)


def test_it_is_reported(store: Store) -> None:
    """The page and the tables of the terminal need no change of the run."""
    before = {path: path.read_bytes() for path in store.folder.glob("*.csv")}
    assert [title for title, *_ in terminal_tables(RunTables(store.folder))]
    assert {path: path.read_bytes() for path in store.folder.glob("*.csv")} == before


def test_the_versions_have_equal_ids() -> None:
    """The runs were made by one command, before and after the kinds of arrival were renamed."""
    ids = [set(Store(DATA / f"run-{name}").read("trial").trial_id) for name in VERSIONS]
    assert ids == [ids[0]] * len(ids)


def test_keys_and_descriptions_survive_without_docstrings() -> None:
    """`python -OO` removes docstrings; keys of tables are data."""
    code = "from lab.results.dictionary import describe_tables; print(describe_tables(), end='')"
    run = subprocess.run(
        [sys.executable, "-OO", "-c", code],
        cwd=DATA.parents[1],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert run.stdout == describe_tables()
