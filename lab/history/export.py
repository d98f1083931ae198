"""Writes asv's result files from the runs: one file for each machine, commit and provider.

The format is the one that asv's developer documentation describes ("Benchmark suite layout and file
formats", version 2), and the statistics are asv's own. A sample is a trial. A cell that failed is
``null``, one that was not run is ``NaN``; asv shows the two apart. Files that `asv run` made are
kept as they are.
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
from lab.history.run_index import History, Measured
from lab.history.samples import Key, Samples, samples
from lab.history.suite import AXES, TIMEOUT_S, VERSION, Benchmark, benchmarks

FORMAT = 2
COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples"),
)
STATISTICS = ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")
DIGITS = 6
# With fewer on a side asv's test cannot find any difference at some pairs of counts, however large
# it is: at 6 and 6, 5 and 7, 3 and 13. Without samples asv compares the two intervals instead.
FEWEST_SAMPLES = 7
OURS = "lab-"
Axes: TypeAlias = Sequence[Sequence[Any]]


def export(results: Path, history: History) -> list[Path]:
    """Write ``results/asv`` anew from all runs: a reader sees the old folder or the new one.

    Returns:
        The files, without those that are asv's own; none when no run belongs to a commit.

    Raises:
        ResultsError: The folder cannot be written, or a machine's name is damaged.
    """
    if not history.runs:
        return []
    folder = results / "asv"
    with _anew(folder) as new:
        foreign = list(_keep_foreign(folder, new))
        written = list(_write_all(history, foreign, new, machines.names(results)))
    return [folder / file.relative_to(new) for file in written]


@contextmanager
def _anew(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and put it in the place of `folder` once it is whole."""
    old = folder.with_name(folder.name + ".old")
    with files.sentences(folder, files.REPEAT):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not folder.exists():  # a kill came between the two renames
            old.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
        try:
            yield new
            new.chmod(0o755)
            if folder.exists():
                folder.replace(old)
            new.replace(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _keep_foreign(folder: Path, new: Path) -> Iterator[dict[str, Any]]:
    """Copy what `asv run` measured, and yield the content of each of its files."""
    for file in sorted(folder.glob("*/*.json")):
        if file.name == "machine.json":
            continue
        content = _read(file, folder)
        if not str(content["env_name"]).startswith(OURS):
            target = new / file.relative_to(folder)
            machine = file.with_name("machine.json")
            files.replace(target, files.read(file, folder), new)
            files.replace(target.with_name(machine.name), files.read(machine, folder), new)
            yield content


def _read(file: Path, folder: Path) -> dict[str, Any]:
    try:
        content = files.read_json(file, folder)
        return {name: content[name] for name in ("env_name", "result_columns", "results")}
    except (ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"{file} is no result of asv. Delete it, and try again.") from error


def _write_all(
    history: History,
    foreign: Sequence[Mapping[str, Any]],
    folder: Path,
    names: Mapping[str, str],
) -> Iterator[Path]:
    groups = _groups(history.runs, names)
    measured = {key: _samples(own, provider=key[2]) for key, own in groups.items()}
    # What nobody could measure yet would be an empty picture on the page.
    axes = _axes(measured.values(), foreign)
    about = {b.name: _describe(b, axes[b.name]) for b in benchmarks() if b.name in axes}
    yield _write(folder / "benchmarks.json", {"version": FORMAT, **about})
    for (machine, commit, provider), own in groups.items():
        facts, date_ms = own[-1].facts, history.dates_ms[commit]
        yield _write(folder / machine / "machine.json", {"version": 1, **_about(machine, facts)})
        version = re.match(r"\d+\.\d+", facts.get("python.version", ""), re.ASCII)
        python = version[0] if version else ""
        found = measured[machine, commit, provider]
        content = {
            "version": FORMAT,
            "commit_hash": commit,
            "env_name": f"{OURS}{provider}-py{python}",
            "date": date_ms,
            "params": {**_about(machine, facts), "python": python, "provider": provider},
            "python": python,
            "requirements": {},
            "env_vars": {},
            "result_columns": list(COLUMNS),
            "results": {n: _result(found.get(n, {}), axes[n], own[-1].started) for n in about},
            "durations": {},
        }
        name = f"{commit[:8]}-{OURS}{provider}-py{python}.json"
        yield _write(folder / machine / name, content)


def _groups(
    runs: Iterable[Measured], names: Mapping[str, str]
) -> dict[tuple[str, str, str], list[Measured]]:
    """Gather the runs that one file of asv holds: by machine, commit and provider."""
    groups: dict[tuple[str, str, str], list[Measured]] = {}
    for run in runs:
        machine = machines.hash_of(run.facts)
        for provider in sorted(set(run.numbers.provider.astype(str))):
            key = names.get(machine, machine), run.commit, provider
            groups.setdefault(key, []).append(run)
    return groups


def _samples(runs: Iterable[Measured], provider: str) -> Samples:
    table = pd.concat([run.numbers for run in runs])
    return samples(table[table.provider == provider])


def _about(machine: str, facts: Mapping[str, str]) -> dict[str, str]:
    return {
        "machine": machine,
        "os": facts.get("kernel.system", ""),
        "arch": facts.get("kernel.machine", ""),
        "cpu": facts.get("cpu.model", ""),
        "num_cpu": facts.get("cpu.usable", ""),
        "ram": f"{facts.get('memory.ram', '')} GiB",
    }


def _axes(measured: Iterable[Samples], foreign: Iterable[Mapping[str, Any]]) -> dict[str, Axes]:
    """Return the values on each benchmark's axes, of those that were measured anywhere."""
    keys: dict[str, set[Key]] = {}
    with_value: set[str] = set()
    for found in measured:
        for name, own in found.items():
            keys.setdefault(name, set()).update(own)
            with_value.update(name for values in own.values() if values)
    values = {n: [set(axis) for axis in zip(*keys[n], strict=True)] for n in with_value}
    for content in foreign:
        for name, row in content["results"].items():
            told = dict(zip(content["result_columns"], row, strict=False))  # asv cuts rows short
            seen = [{_value(text) for text in axis} for axis in told.get("params") or ()]
            if len(seen) == len(AXES):
                both = zip(values.get(name, seen), seen, strict=True)
                values[name] = [own | other for own, other in both]
    return {name: [sorted(axis) for axis in own] for name, own in values.items()}


def _value(text: str) -> Any:
    """Undo the ``repr`` by which asv writes a name or a number."""
    return int(text) if text.isdecimal() else text[1:-1]


def _describe(benchmark: Benchmark, axes: Axes) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "type": "track",
        "unit": benchmark.unit,
        "param_names": list(AXES),
        "params": [[repr(value) for value in axis] for axis in axes],
        "version": VERSION,
        "timeout": TIMEOUT_S,
        "pretty_name": benchmark.title,
        "code": f"One sample is one trial. {benchmark.title}.",
    }


def _result(
    found: Mapping[Key, list[float] | None], axes: Axes, started: pd.Timestamp
) -> list[Any]:
    """Make a row of asv's result columns: flat lists over the product of the axes."""
    cells = [_cell(found.get((str(b), c, n), [])) for b, c, n in product(*axes)]
    value, *statistics, kept = map(list, zip(*cells, strict=True))
    params = [[repr(item) for item in axis] for axis in axes]
    return [value, params, VERSION, int(started.timestamp() * 1000), 0.0, *statistics, kept]


def _cell(values: list[float] | None) -> tuple[Any, ...]:
    """Return value, interval, quartiles, counts and samples of one cell."""
    if not values:
        return (None if values is None else math.nan, *[None] * (len(STATISTICS) + 1))
    middle, told = compute_stats(values, 1)
    kept = [_short(v) for v in values] if len(values) >= FEWEST_SAMPLES else None
    return (_short(middle), *(_short(told[name]) for name in STATISTICS), kept)


def _short(value: float) -> float:
    is_whole = isinstance(value, int) or not math.isfinite(value)
    return value if is_whole else float(f"{value:.{DIGITS}g}")


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path
