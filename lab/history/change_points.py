"""From all runs to the steps in their curves: one curve a number, one point a commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lab.history import machines
from lab.history.detectors import Status, Step, vote
from lab.history.run_index import History
from lab.history.suite import Benchmark, benchmarks
from lab.results.schema.changepoint import ChangepointRow

# A new machine, or other software on it, starts a new curve (METHOD M30).
SERIES = ["benchmark", "backend", "cores", "nodes", "provider", "machine", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Found:
    """A step with the curve it is in: `values`, one a commit, of which `at` is the first after."""

    row: ChangepointRow
    benchmark: Benchmark
    backend: str
    where: str
    values: Sequence[float]
    at: int


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps, the largest first, and how many curves of how many commits were looked at."""

    found: Sequence[Found]
    n_series: int
    n_commits: int


def find(history: History, names: Mapping[str, str]) -> Steps:
    """Look for steps in every curve; `names` are the machines' given ones.

    A point is the geometric mean over the trials of a commit, of those that HEAD descends from: a
    branch that was tried beside it would look like two steps.
    """
    points = _points(history, names)
    known = {benchmark.name: benchmark for benchmark in benchmarks()}
    found: list[Found] = []
    n_series = 0
    for key, curve in points.groupby(SERIES, observed=True, sort=True):
        n_series += 1
        ordered = curve.sort_values("order")
        values, commits = ordered.value.tolist(), ordered.commit.tolist()
        found += _steps(known[str(key[0])], [str(part) for part in key], values, commits)
    found.sort(key=lambda one: (-abs(np.log1p(one.row.magnitude)), one.row.series_key))
    return Steps(found, n_series, points.commit.nunique())


def _points(history: History, names: Mapping[str, str]) -> pd.DataFrame:
    order = {commit: place for place, commit in enumerate(history.dates_ms)}
    parts = [
        _of_run(run.numbers, names, run.facts).assign(
            commit=run.commit, fingerprint=run.fingerprint_id
        )
        for run in history.runs
    ]
    table = pd.concat(parts, ignore_index=True)
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
) -> Iterator[Found]:
    _, backend, cores, nodes, provider, machine, _ = key
    where = f"{nodes} x {cores} cores, {provider}, {machine}"
    for step in vote(values):
        row = _row(step, benchmark, key, commits)
        yield Found(row, benchmark, backend, where, values, step.at)


def _row(
    step: Step, benchmark: Benchmark, key: Sequence[str], commits: Sequence[str]
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


def verdict(steps: Steps) -> str:
    """Say in a sentence what became slower."""
    worse = [one.row.status for one in steps.found if one.row.magnitude > 0]
    alarms, watches = worse.count(Status.ALARM), worse.count(Status.WATCH)
    return (
        f"What costs more now: alarms {alarms}, watches {watches}, "
        f"in {steps.n_series} curves over {steps.n_commits} commits."
    )
