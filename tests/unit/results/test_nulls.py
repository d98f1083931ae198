"""Tests that nulls in any nullable column raise no error in metrics and commands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis import compute
from lab.analysis.metrics.registry import trial_metrics
from lab.cli.main import main
from lab.core.arrivals import ARRIVALS
from lab.core.model import Flag, Status
from lab.history.samples import samples_of_run
from lab.results import arrow_schema
from lab.results.schema import TrialRow
from lab.results.schema.task import SampleRow
from lab.results.store import Store
from tests.conftest import shorten_page
from tests.factories import campaigns
from tests.factories.rows import a_row, as_rows

SMALL = replace(
    campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",), cores=(1,)
)


def nullable(table: str) -> list[str]:
    """Return the columns of a table that may be null."""
    return [column.name for column in arrow_schema.schema(table) if column.nullable]


def null_sets(table: str) -> list[list[str]]:
    """Return sets of nullable columns: none, all, and each column alone."""
    return [[], nullable(table), *([name] for name in nullable(table))]


def trials(row: TrialRow, nulls: Sequence[Sequence[str]]) -> Iterator[TrialRow]:
    """Yield a trial for each kind of arrival and each set of null columns."""
    for number, (arrival, names) in enumerate(itertools.product(ARRIVALS, nulls)):
        status = Status.INTERRUPTED if number % 2 else Status.TIMEOUT
        changes: dict[str, Any] = {"trial_id": f"f{number:015x}", "arrival": arrival}
        changes |= {"rate_hz": 100.0, "arrival_param": 2.0, "status": status, "flag": Flag.OK}
        yield replace(row, **changes | dict.fromkeys(names))


def with_nulls(window: pd.DataFrame, trial_id: str, names: Sequence[str]) -> pd.DataFrame:
    """Return the tasks of a trial, with null columns."""
    nulls: Any = dict.fromkeys(names, pd.NA)
    tasks = window.assign(trial_id=trial_id, **nulls)
    return campaigns.typed("task", tasks.astype(dict.fromkeys(names, "Int64")))


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """The tables of a small campaign."""
    return dict(campaigns.campaign(SMALL))


@pytest.fixture(scope="module")
def window(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tasks of the first trial."""
    tasks = tables["task"].drop(columns="attempt")
    return pd.DataFrame(tasks[tasks.trial_id == tasks.trial_id.iloc[0]])


def samples(trial_id: str) -> pd.DataFrame:
    """Return a sample with worker processes, so that all metrics read the trial's columns."""
    reading = SampleRow(trial_id, 1, "workers", "processes", 1.0, "1")
    return campaigns.typed("sample", [reading])


@pytest.mark.parametrize("table", ["trial", "task"])
def test_every_metric_of_a_trial_with_nulls_has_a_row(
    tables: dict[str, pd.DataFrame], window: pd.DataFrame, table: str
) -> None:
    """A metric that needs a null column is refused with a reason, for every arrival."""
    first = as_rows(tables["trial"], "trial")[0]
    nulls = null_sets(table)
    frames = [with_nulls(window, "x", names if table == "task" else ()) for names in nulls]
    of_trial = nulls if table == "trial" else [[]] * len(nulls)
    occurrence = [replace(a_row("firing"), **dict.fromkeys(nullable("firing")))]
    for row, tasks in zip(trials(first, of_trial), itertools.cycle(frames), strict=False):
        occurrences = campaigns.typed("firing", occurrence)
        for metric in trial_metrics(row, tasks, occurrences, samples("x")):
            assert "fault of the lab" not in metric.method, (row, metric)
            assert metric.value is not None or metric.method


@pytest.fixture(scope="module")
def run(
    tables: dict[str, pd.DataFrame], window: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of intact trials, and of two trials per arrival: with all nulls, and with none."""
    folder = tmp_path_factory.mktemp("results") / "runs" / campaigns.SYNTHETIC
    campaigns.write(tables, folder)
    store = Store(folder)
    rows = as_rows(tables["trial"], "trial")
    for trial in tables["trial"].trial_id:
        store.write_parquet(store.trial_folder(trial, 1), "sample", [])
    # Without its rate, a paced trial is a damaged row, which other tests cover.
    for row in trials(rows[0], [[], [n for n in nullable("trial") if n != "rate_hz"]]):
        rows.append(row)
        names = nullable("task") if row.t_end_ns is None else []
        place = store.trial_folder(row.trial_id, 1)
        store.write_parquet(place, "task", with_nulls(window, row.trial_id, names))
        store.write_parquet(place, "sample", samples(row.trial_id))
        missed = a_row("firing", trial_id=row.trial_id)
        missed = replace(missed, **dict.fromkeys(nullable("firing")))
        store.write_parquet(place, "firing", [missed])
    store.replace("trial", rows)
    (folder / "plan.json").write_text("{}")
    compute.compute(store)
    return folder


@pytest.mark.parametrize("command", ["report", "compare", "publish"])
def test_commands_accept_a_run_with_nulls(
    run: Path,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands that read a run end with an ordinary exit code."""
    if command == "publish":
        shorten_page(monkeypatch)  # `report` draws the whole page
    samples_of_run(Store(run))
    to = {"report": [], "compare": [str(run)], "publish": ["--to", str(tmp_path / "package")]}
    code = main([command, str(run), *to[command]])
    assert "Traceback" not in capsys.readouterr().err
    assert code in (0, 3)
