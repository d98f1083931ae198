"""Writes asv's result files from the runs: one file for each machine, commit and provider.

The format is version 2 of asv's developer documentation ("Benchmark suite layout and file
formats"). asv's own code computes the statistics. One sample is one trial. A cell that failed is
``null``, a cell that was not run is ``NaN``; asv displays the two differently. Files that `asv run`
wrote are copied; only names of metrics are brought up to date.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from asv_runner.statistics import compute_stats

from lab.core import files
from lab.core.errors import ResultsError
from lab.history import machines
from lab.history.run_index import CommitRun, History
from lab.history.samples import AxisValues, Samples, samples
from lab.history.suite import AXES, TIMEOUT_S, Benchmark, benchmarks, present_name

FORMAT = 2
COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples"),
)
STATISTICS = ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")
DIGITS = 6
# With fewer samples per side, asv's test detects no difference of any size at some pairs of
# counts: 6 and 6, 5 and 7, 3 and 13. Without samples asv compares the two intervals instead.
FEWEST_SAMPLES = 7
# Distinguishes the lab's files from those of `asv run`, which cannot be rebuilt from runs.
OURS = "lab-"
Axes: TypeAlias = Sequence[Sequence[Any]]


def export(results: Path, history: History) -> list[Path]:
    """Rewrite ``results/asv`` from all runs, atomically: readers see the old folder or the new one.

    Returns:
        The files written, without the copied files of asv; none if no run belongs to a commit.

    Raises:
        ResultsError: The folder cannot be written, or a machine's name is damaged.
    """
    if not history.runs:
        return []
    folder = results / "asv"
    with _replacement(folder) as new:
        foreign = list(_keep_foreign(folder, new))
        written = list(_write_all(history, foreign, new, machines.names(results)))
    return [folder / file.relative_to(new) for file in written]


@contextmanager
def _replacement(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; replace `folder` by it when the caller has filled it."""
    old = folder.with_name(folder.name + ".old")
    with files.sentences(folder, files.REPEAT):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not folder.exists():  # the process died between the two renames
            old.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
        # Beside `folder`, because a rename to another file system fails.
        new = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
        try:
            yield new
            # mkdtemp creates a folder that only its user can read.
            new.chmod(0o755)
            # A rename cannot replace a folder that contains files.
            if folder.exists():
                folder.replace(old)
            new.replace(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _keep_foreign(folder: Path, new: Path) -> Iterator[dict[str, Any]]:
    """Copy the result files of `asv run`, with present names of metrics; yield their content."""
    for file in sorted(folder.glob("*/*.json")):
        if file.name == "machine.json":
            continue
        content = _read(file, folder)
        if not str(content["env_name"]).startswith(OURS):
            target = new / file.relative_to(folder)
            machine = file.with_name("machine.json")
            files.replace(target, _with_present_names(files.read(file, folder)), new)
            files.replace(target.with_name(machine.name), files.read(machine, folder), new)
            yield content


def _with_present_names(data: bytes) -> bytes:
    """Return a result file unchanged, unless a metric was renamed since it was written."""
    content = json.loads(data)
    results = {present_name(name): row for name, row in content["results"].items()}
    if results.keys() == content["results"].keys():
        return data
    return json.dumps(content | {"results": results}).encode()


def _read(file: Path, folder: Path) -> dict[str, Any]:
    try:
        content = files.read_json(file, folder)
        content["results"] = {present_name(n): row for n, row in content["results"].items()}
        return {name: content[name] for name in ("env_name", "result_columns", "results")}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(f"{file} is not a result file of asv. Delete it and retry.") from error


def _write_all(
    history: History,
    foreign: Sequence[Mapping[str, Any]],
    folder: Path,
    names: Mapping[str, str],
) -> Iterator[Path]:
    groups = _groups(history.runs, names)
    measured = {key: _samples(members, provider=key[2]) for key, members in groups.items()}
    # A benchmark without a value would be an empty plot on asv's page.
    axes = _axes(measured.values(), foreign)
    descriptions = {b.name: _describe(b, axes[b.name]) for b in benchmarks() if b.name in axes}
    yield _write(folder / "benchmarks.json", {"version": FORMAT, **descriptions})
    for (machine, commit, provider), members in groups.items():
        facts, started = members[-1].facts, members[-1].started
        machine_facts = _machine_facts(machine, facts)
        yield _write(folder / machine / "machine.json", {"version": 1, **machine_facts})
        # The version is part of a file's name, and in a run of another origin it may be a path.
        version = re.match(r"\d+\.\d+", facts.get("python.version", ""), re.ASCII)
        python = version[0] if version else ""
        cells = measured[machine, commit, provider]
        content = {
            "version": FORMAT,
            "commit_hash": commit,
            "env_name": f"{OURS}{provider}-py{python}",
            "date": history.dates_ms[commit],
            "params": {**machine_facts, "python": python, "provider": provider},
            "python": python,
            "requirements": {},
            "env_vars": {},
            "result_columns": list(COLUMNS),
            "results": {
                name: _result(cells.get(name, {}), axes[name], described["version"], started)
                for name, described in descriptions.items()
            },
            "durations": {},
        }
        name = f"{commit[:8]}-{OURS}{provider}-py{python}.json"
        yield _write(folder / machine / name, content)


def _groups(
    runs: Iterable[CommitRun], names: Mapping[str, str]
) -> dict[tuple[str, str, str], list[CommitRun]]:
    """Group the runs by machine, commit and provider: each group is one file of asv."""
    groups: dict[tuple[str, str, str], list[CommitRun]] = {}
    for run in runs:
        machine = machines.hash_of(run.facts)
        for provider in sorted(set(run.numbers.provider.astype(str))):
            key = names.get(machine, machine), run.commit, provider
            groups.setdefault(key, []).append(run)
    return groups


def _samples(runs: Iterable[CommitRun], provider: str) -> Samples:
    table = pd.concat([run.numbers for run in runs])
    return samples(table[table.provider == provider])


def _machine_facts(machine: str, facts: Mapping[str, str]) -> dict[str, str]:
    return {
        "machine": machine,
        "os": facts.get("kernel.system", ""),
        "arch": facts.get("kernel.machine", ""),
        "cpu": facts.get("cpu.model", ""),
        "num_cpu": facts.get("cpu.usable", ""),
        "ram": f"{facts.get('memory.ram', '')} GiB",
    }


def _axes(measured: Iterable[Samples], foreign: Iterable[Mapping[str, Any]]) -> dict[str, Axes]:
    """Return the values on the axes of each benchmark that has a value in any run."""
    keys: dict[str, set[AxisValues]] = {}
    with_value: set[str] = set()
    for benchmark_cells in measured:
        for name, cells in benchmark_cells.items():
            keys.setdefault(name, set()).update(cells)
            with_value.update(name for values in cells.values() if values)
    values = {n: [set(axis) for axis in zip(*keys[n], strict=True)] for n in with_value}
    for content in foreign:
        for name, row in content["results"].items():
            # asv omits trailing columns without a value.
            columns = dict(zip(content["result_columns"], row, strict=False))
            foreign_axes = [{_value(text) for text in axis} for axis in columns.get("params") or ()]
            # A benchmark with other axes has no cells in common with the lab's.
            if len(foreign_axes) == len(AXES):
                both = zip(values.get(name, foreign_axes), foreign_axes, strict=True)
                values[name] = [ours | theirs for ours, theirs in both]
    return {name: [sorted(axis) for axis in axes] for name, axes in values.items()}


def _value(text: str) -> Any:
    """Parse the ``repr`` of a name or a number, as asv writes it."""
    return int(text) if text.isdecimal() else text[1:-1]


def _describe(benchmark: Benchmark, axes: Axes) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "type": "track",
        "unit": benchmark.unit,
        "param_names": list(AXES),
        "params": [[repr(value) for value in axis] for axis in axes],
        "version": benchmark.version,
        "timeout": TIMEOUT_S,
        "pretty_name": benchmark.title,
        "code": f"One sample is one trial. {benchmark.title}.",
    }


def _result(
    samples_of: Mapping[AxisValues, list[float] | None],
    axes: Axes,
    version: str,
    started: pd.Timestamp,
) -> list[Any]:
    """Return the values of asv's result columns: flat lists over the product of the axes."""
    cells = [_cell(samples_of.get((str(b), c, n), [])) for b, c, n in product(*axes)]
    value, *statistics, raw = map(list, zip(*cells, strict=True))
    params = [[repr(item) for item in axis] for axis in axes]
    return [value, params, version, int(started.timestamp() * 1000), 0.0, *statistics, raw]


def _cell(values: list[float] | None) -> tuple[Any, ...]:
    """Return value, interval, quartiles, counts and samples of one cell."""
    if not values:
        return (None if values is None else math.nan, *[None] * (len(STATISTICS) + 1))
    middle, statistics = compute_stats(values, 1)
    raw = [_rounded(v) for v in values] if len(values) >= FEWEST_SAMPLES else None
    return (_rounded(middle), *(_rounded(statistics[name]) for name in STATISTICS), raw)


def _rounded(value: float) -> float:
    is_whole = isinstance(value, int) or not math.isfinite(value)
    return value if is_whole else float(f"{value:.{DIGITS}g}")


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path
