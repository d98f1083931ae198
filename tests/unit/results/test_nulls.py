"""A value that was never read is null, in every table and column, and ends nothing."""

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
from lab.history.samples import numbers
from lab.results import arrow_schema
from lab.results.schema import TrialRow
from lab.results.schema.task import SampleRow
from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.rows import a_row, as_rows

SMALL = replace(
    campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",), cores=(1,)
)


def nullable(table: str) -> list[str]:
    """The columns of a table that may be null."""
    return [column.name for column in arrow_schema.schema(table) if column.nullable]


def shapes_of(table: str) -> list[list[str]]:
    """Each nullable column of a table by itself, none of them, and all."""
    return [[], nullable(table), *([name] for name in nullable(table))]


def trials(row: TrialRow, nulls: Sequence[Sequence[str]]) -> Iterator[TrialRow]:
    """A trial of each kind of arrival for each set of columns that are null."""
    for number, (arrival, names) in enumerate(itertools.product(ARRIVALS, nulls)):
        status = Status.INTERRUPTED if number % 2 else Status.TIMEOUT
        changes: dict[str, Any] = {"trial_id": f"f{number:015x}", "arrival": arrival}
        changes |= {"rate_hz": 100.0, "shape": 2.0, "status": status, "flag": Flag.OK}
        yield replace(row, **changes | dict.fromkeys(names))


def with_nulls(window: pd.DataFrame, trial_id: str, names: Sequence[str]) -> pd.DataFrame:
    """The tasks of a trial, with null columns."""
    nulls: Any = dict.fromkeys(names, pd.NA)
    tasks = window.assign(trial_id=trial_id, **nulls)
    return campaigns.typed("task", tasks.astype(dict.fromkeys(names, "Int64")))


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    """The tables of a small campaign."""
    return dict(campaigns.campaign(SMALL))


@pytest.fixture(scope="module")
def window(made: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tasks of its first trial."""
    tasks = made["task"].drop(columns="attempt")
    return pd.DataFrame(tasks[tasks.trial_id == tasks.trial_id.iloc[0]])


def samples(trial_id: str) -> pd.DataFrame:
    """What makes a metric look for the columns of a trial: its workers have processes."""
    reading = SampleRow(trial_id, 1, "workers", "processes", 1.0, "1")
    return campaigns.typed("sample", [reading])


@pytest.mark.parametrize("table", ["trial", "task"])
def test_every_number_of_a_trial_with_nulls_is_a_row(
    made: dict[str, pd.DataFrame], window: pd.DataFrame, table: str
) -> None:
    """Each column null by itself, for every arrival: where it was needed the row says why."""
    first = as_rows(made["trial"], "trial")[0]
    nulls = shapes_of(table)
    frames = [with_nulls(window, "x", names if table == "task" else ()) for names in nulls]
    of_trial = nulls if table == "trial" else [[]] * len(nulls)
    occurrence = [replace(a_row("occurrence"), **dict.fromkeys(nullable("occurrence")))]
    for row, tasks in zip(trials(first, of_trial), itertools.cycle(frames), strict=False):
        found = trial_metrics(row, tasks, campaigns.typed("occurrence", occurrence), samples("x"))
        for number in found:
            assert "fault of the lab" not in number.method, (row, number)
            assert number.value is not None or number.method


@pytest.fixture(scope="module")
def run(
    made: dict[str, pd.DataFrame], window: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of sound trials, and of each kind of arrival one with every null and one without."""
    folder = tmp_path_factory.mktemp("results") / "runs" / campaigns.SYNTHETIC
    campaigns.write(made, folder)
    store = Store(folder)
    rows = as_rows(made["trial"], "trial")
    for trial in made["trial"].trial_id:
        store.write_parquet(store.trial_folder(trial, 1), "sample", [])
    # A paced trial without its rate is no null but a damaged row, which is refused elsewhere.
    for row in trials(rows[0], [[], [n for n in nullable("trial") if n != "rate_hz"]]):
        rows.append(row)
        names = nullable("task") if row.t_end_ns is None else []
        place = store.trial_folder(row.trial_id, 1)
        store.write_parquet(place, "task", with_nulls(window, row.trial_id, names))
        store.write_parquet(place, "sample", samples(row.trial_id))
        missed = a_row("occurrence", trial_id=row.trial_id)
        missed = replace(missed, **dict.fromkeys(nullable("occurrence")))
        store.write_parquet(place, "occurrence", [missed])
    store.replace("trial", rows)
    (folder / "plan.json").write_text("{}")
    compute.derive(store)
    return folder


@pytest.mark.parametrize("command", ["report", "compare", "publish"])
def test_a_run_with_nulls_is_derived_and_reported(
    run: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that reads a run reads this one, and ends in what its numbers say."""
    numbers(Store(run))
    to = {"report": [], "compare": [str(run)], "publish": ["--to", str(tmp_path / "package")]}
    code = main([command, str(run), *to[command]])
    assert "Traceback" not in capsys.readouterr().err
    assert code in (0, 3)
