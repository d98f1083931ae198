"""Writes asv's result files from the runs: one file for each machine, commit and provider.

The format is the one that asv's developer documentation describes ("Benchmark suite layout and file
formats", version 2). A sample is a trial. A cell that failed is ``null``, one that was not run is
``NaN``; asv shows the two apart.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from lab.errors import ResultsError
from lab.history.suite import AXES, VERSION, Benchmark, benchmarks
from lab.metrics import last_attempts
from lab.model import Flag, Status
from lab.store import Store, runs

FORMAT = 2
# What a machine is. Its software is the commit's, whose lock says the versions.
HARDWARE = ("cpu.model", "cpu.cores", "cpu.threads", "cpu.usable", "memory.ram", "kernel.machine")
COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples"),
)
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Measured:
    """One run that can go into the history: its commit, its machine, and its numbers."""

    commit: str
    facts: Mapping[str, str]
    numbers: pd.DataFrame
    started: pd.Timestamp


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and for each run that was left out why."""

    files: tuple[Path, ...]
    refused: Mapping[str, str]


def export(results: Path, repository: Path) -> Exported:
    """Write ``results/asv`` anew from every run in ``results/runs``.

    Args:
        results: The folder that holds ``runs``.
        repository: The checkout whose commits were measured.

    Raises:
        ResultsError: The folder cannot be written.
    """
    measured: list[Measured] = []
    refused: dict[str, str] = {}
    for folder in runs(results):
        store = Store(folder)
        try:
            if reason := obstacle(store, repository):
                refused[folder.name] = reason
            else:
                measured.append(_read(store))
        except ResultsError as error:  # one damaged run hides no other
            refused[folder.name] = str(error).rstrip(".")
    files = list(_write_all(measured, results / "asv", repository)) if measured else []
    return Exported(tuple(files), refused)


def obstacle(store: Store, repository: Path) -> str | None:
    """Say why a run cannot stand for a commit; None when it can."""
    campaign = store.read("campaign").iloc[0]
    commit = str(campaign.git_commit)
    if not commit:
        return "it was not measured in a checkout, so it belongs to no commit"
    if str(campaign.git_dirty) != "0":
        return "files differed from the commit: commit them, and measure again"
    if _author_date_ms(commit, repository) is None:
        return f"commit {commit[:8]} is not in this repository: fetch its whole history"
    return None


def _read(store: Store) -> Measured:
    campaign, environment = store.read("campaign").iloc[0], store.read("environment")
    facts = dict(zip(environment.key.astype(str), environment.value.astype(str), strict=True))
    trials, numbers = store.read("trial"), store.read("metric")
    table = last_attempts(trials).merge(numbers, on=["trial_id", "attempt"], how="left")
    started = pd.Timestamp(campaign.started_utc)
    return Measured(str(campaign.git_commit), facts, table, started)


def machine_name(facts: Mapping[str, str]) -> str:
    """Name a machine by a hash of its hardware, never by its host name."""
    hardware = [(key, facts.get(key, "")) for key in HARDWARE]
    return f"machine-{hashlib.sha256(json.dumps(hardware).encode()).hexdigest()[:8]}"


def _about(facts: Mapping[str, str]) -> dict[str, str]:
    return {
        "machine": machine_name(facts),
        "os": facts.get("kernel.system", ""),
        "arch": facts.get("kernel.machine", ""),
        "cpu": facts.get("cpu.model", ""),
        "num_cpu": facts.get("cpu.usable", ""),
        "ram": f"{facts.get('memory.ram', '')} GiB",
    }


def _write_all(measured: Sequence[Measured], folder: Path, repository: Path) -> Iterator[Path]:
    everything = pd.concat([run.numbers for run in measured])
    cells = {b: _cells(everything, b) for b in benchmarks()}
    # What nobody could measure yet would be an empty picture on the page.
    shown = {b: _axes(rows) for b, rows in cells.items() if rows.value.notna().any()}
    about = {b.name: _describe(b, ends) for b, ends in shown.items()}
    yield _write(folder / "benchmarks.json", {"version": FORMAT, **about})
    for (machine, commit, provider), own in _groups(measured).items():
        facts = own[-1].facts
        yield _write(folder / machine / "machine.json", {"version": 1, **_about(facts)})
        python = ".".join(facts.get("python.version", "").split(".")[:2])
        numbers = pd.concat([run.numbers for run in own])
        numbers = numbers[numbers.provider == provider]
        content = {
            "version": FORMAT,
            "commit_hash": commit,
            "env_name": f"{provider}-py{python}",
            "date": _author_date_ms(commit, repository),
            "params": {**_about(facts), "python": python, "provider": provider},
            "python": python,
            "requirements": {},
            "env_vars": {},
            "result_columns": list(COLUMNS),
            "results": {
                b.name: _result(_cells(numbers, b), ends, own[-1].started)
                for b, ends in shown.items()
            },
            "durations": {},
        }
        yield _write(folder / machine / f"{commit[:8]}-{provider}-py{python}.json", content)


def _groups(measured: Sequence[Measured]) -> dict[tuple[str, str, str], list[Measured]]:
    """Gather the runs that one file of asv holds: by machine, commit and provider."""
    groups: dict[tuple[str, str, str], list[Measured]] = {}
    for run in measured:
        for provider in sorted(set(run.numbers.provider.astype(str))):
            groups.setdefault((machine_name(run.facts), run.commit, provider), []).append(run)
    return groups


def _cells(numbers: pd.DataFrame, benchmark: Benchmark) -> pd.DataFrame:
    """Return the trials of a benchmark, those with one worker a core."""
    of = numbers[
        (numbers.workload == benchmark.workload)
        & (numbers.arrival == benchmark.arrival.kind)
        & (numbers.workers_per_node == numbers.cores_per_node)
        & (numbers.quota_cpus == 0)
        & ((numbers.metric == benchmark.metric) | numbers.metric.isna())
    ]
    rate = getattr(benchmark.arrival, "rate_hz", None)
    of = of if rate is None else of[of.rate_hz == rate]
    return of.assign(backend=of.label, cores=of.cores_per_node)


def _axes(cells: pd.DataFrame) -> list[list[Any]]:
    return [sorted(set(cells[axis].tolist())) for axis in AXES]


def _describe(benchmark: Benchmark, axes: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "type": "track",
        "unit": "seconds",
        "param_names": list(AXES),
        "params": [[repr(value) for value in axis] for axis in axes],
        "version": VERSION,
        "timeout": 60,
        "pretty_name": benchmark.title,
        "code": f"One sample is one trial. {benchmark.title}.",
    }


def _result(table: pd.DataFrame, axes: Sequence[Sequence[Any]], started: pd.Timestamp) -> list[Any]:
    """Make a row of asv's result columns: flat lists over the product of the axes."""
    cells = [_cell(table, values) for values in product(*axes)]
    columns = [list(column) for column in zip(*cells, strict=True)]
    value, low, high, q25, q75, count, samples = columns
    params = [[repr(item) for item in axis] for axis in axes]
    began = int(started.timestamp() * 1000)
    ones = [1 if found else None for found in samples]
    return [value, params, VERSION, began, 0.0, low, high, q25, q75, ones, count, samples]


def _cell(table: pd.DataFrame, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return value, interval, quartiles, count and samples of one cell of the axes."""
    rows = table[np.logical_and.reduce([table[a] == v for a, v in zip(AXES, values, strict=True)])]
    good = rows[(rows.is_valid == 1) & (rows.bound == "") & (rows.flag != Flag.INVALID)]
    samples = np.sort(good.value.astype("float64").to_numpy())
    if not samples.size:
        failed = rows.status.isin([Status.FAILED, Status.TIMEOUT]).any()
        return (None if failed else math.nan, *[None] * 6)
    low, high = _median_interval(samples)
    q25, middle, q75 = np.percentile(samples, [25, 50, 75])
    shown = [_short(v) for v in (middle, low, high, q25, q75)]
    return (*shown, int(samples.size), [_short(v) for v in samples])


def _median_interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the 99 % interval of the median by order statistics; infinite where n is too small."""
    try:
        found = stats.quantile_test(samples, q=np.median(samples), p=0.5)
        ends = found.confidence_interval(0.99)
    except ValueError:
        return -math.inf, math.inf
    low, high = float(ends.low), float(ends.high)
    return (-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def _author_date_ms(commit: str, repository: Path) -> int | None:
    command = ["git", "-C", str(repository), "log", "-1", "--format=%at", commit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) * 1000 if done.returncode == 0 and done.stdout.strip() else None


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(content, indent=1), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}.") from error
    return path
