"""Finds the change points of all series: one series per benchmark cell, one point per commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lab.history import machines
from lab.history.detectors import ChangePoint, ChangeStatus, vote
from lab.history.run_index import History
from lab.history.suite import Benchmark, benchmarks
from lab.results.schema.changepoint import ChangepointRow

# Another machine, or other software on it, is another series (METHOD M30).
SERIES = ["benchmark", "backend", "cores", "nodes", "provider", "machine", "fingerprint"]


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """A change point and its series: `values`, one per commit; `at` is the first of the new level.

    `where` is the topology, the provider and the machine, as text.
    """

    row: ChangepointRow
    benchmark: Benchmark
    backend: str
    where: str
    values: Sequence[float]
    at: int


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """All change points, the largest first, with the numbers of series and commits analysed."""

    changes: Sequence[SeriesChange]
    n_series: int
    n_commits: int


def find_change_points(history: History, names: Mapping[str, str]) -> ChangePoints:
    """Return the change points of every series; `names` are the users' names of machines, by hash.

    A point is the geometric mean over the trials of one commit. Only HEAD and its ancestors count,
    because a commit of another branch would look like two change points.
    """
    points = _points(history, names)
    known = {benchmark.name: benchmark for benchmark in benchmarks()}
    changes: list[SeriesChange] = []
    n_series = 0
    for key, curve in points.groupby(SERIES, observed=True, sort=True):
        n_series += 1
        ordered = curve.sort_values("order")
        values, commits = ordered.value.tolist(), ordered.commit.tolist()
        changes += _steps(known[str(key[0])], [str(part) for part in key], values, commits)
    # On the logarithmic scale, a doubling and a halving are equally large.
    changes.sort(key=lambda c: (-abs(np.log1p(c.row.magnitude)), c.row.series_key))
    return ChangePoints(changes, n_series, points.commit.nunique())


def _points(history: History, names: Mapping[str, str]) -> pd.DataFrame:
    order = {commit: place for place, commit in enumerate(history.dates_ms)}
    parts = [
        _of_run(run.numbers, names, run.facts).assign(
            commit=run.commit, fingerprint=run.fingerprint_id
        )
        for run in history.runs
    ]
    table = pd.concat(parts, ignore_index=True)
    # The mean of logarithms needs values above zero.
    table = table[table.is_good & (table.value > 0) & table.commit.isin(history.line)]
    points = (
        table.assign(value=np.log(table.value))
        .groupby([*SERIES, "commit"], observed=True, as_index=False)[["value"]]
        .mean()
    )
    return points.assign(value=np.exp(points.value), order=points.commit.map(order))


def _of_run(
    numbers: pd.DataFrame, names: Mapping[str, str], facts: Mapping[str, str]
) -> pd.DataFrame:
    machine = machines.hash_of(facts)
    return numbers.assign(machine=names.get(machine, machine))


def _steps(
    benchmark: Benchmark, key: Sequence[str], values: Sequence[float], commits: Sequence[str]
) -> Iterator[SeriesChange]:
    _, backend, cores, nodes, provider, machine, _ = key
    where = f"{nodes} x {cores} cores, {provider}, {machine}"
    for step in vote(values):
        row = _row(step, benchmark, key, commits)
        yield SeriesChange(row, benchmark, backend, where, values, step.at)


def _row(
    step: ChangePoint, benchmark: Benchmark, key: Sequence[str], commits: Sequence[str]
) -> ChangepointRow:
    return ChangepointRow(
        series_key=" ".join(key),
        commit=commits[step.at],
        commit_before=commits[step.at - 1],
        detector=step.detector,
        status=step.status,
        magnitude=step.magnitude,
        p=step.p,
        before=step.before,
        after=step.after,
        unit=benchmark.unit,
        n_commits=len(commits),
    )


def verdict(steps: ChangePoints) -> str:
    """Return a sentence that counts the cost increases, or says why there is no series."""
    if not steps.n_series:
        return (
            "No series: no run has a trial that counts with a case of the presets quick or "
            "standard, one worker per core and no quota. `lab report RUN` shows the flags."
        )
    # All series are costs (METHOD M31), so only an increase is worse.
    worse = [change.row.status for change in steps.changes if change.row.magnitude > 0]
    alarms, watches = worse.count(ChangeStatus.ALARM), worse.count(ChangeStatus.WATCH)
    return (
        f"Cost increases: {alarms} alarms, {watches} watches, "
        f"in {steps.n_series} series over {steps.n_commits} commits."
    )
