"""Times a long history: 100 commits of 500 cells, ten trials each; `nox -s perf`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.history import change_points, run_index
from lab.history.export import export
from lab.history.suite import Benchmark, benchmarks
from lab.results import formats
from lab.results.arrow_schema import schema
from tests.factories.campaigns import BLANK, SHARED, _campaign_row, _environment
from tests.factories.campaigns import Campaign as Synthetic

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LABELS, BLOCKS = 25, 10
# A fast import of one commit, which needs neither a file nor a process.
COMMIT = "commit refs/heads/main\ncommitter x <x@example.org> {time} +0000\ndata 1\nx\n"


@pytest.fixture(scope="module")
def n_commits(full_size: bool) -> int:
    """Return the length of the history."""
    return 100 if full_size else 3


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, n_commits: int) -> Path:
    """A repository with a run of 500 cells for each commit."""
    folder = tmp_path_factory.mktemp("history")
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    stream = "".join(COMMIT.format(time=1_790_000_000 + n) for n in range(n_commits))
    importing = ["git", "-C", str(folder), "fast-import", "--quiet"]
    subprocess.run(importing, input=stream, text=True, check=True)
    (folder / "asv.conf.json").write_text((ROOT / "asv.conf.json").read_text())
    (folder / "lab").symlink_to(ROOT / "lab")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    listed = ["git", "-C", str(folder), "rev-list", "main"]
    commits = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    trials, metrics = tables()
    rng = np.random.default_rng(1)
    fixed: dict[str, Any] = {"trial": trials, "environment": list(_environment())}
    written = {n: formats.to_csv(n, rows, Path(n), header=True) for n, rows in fixed.items()}
    for number, commit in enumerate(reversed(commits)):
        run = folder / "results" / "runs" / f"{number:03d}"
        run.mkdir(parents=True)
        row = replace(_campaign_row(Synthetic()), git_commit=commit, git_dirty="0")
        values = metrics.assign(value=np.exp(rng.normal(0, 0.04, len(metrics))))
        of_run: dict[str, Any] = {"campaign": [row], "metric": values}
        for name, content in {
            **written,
            **{n: formats.to_csv(n, rows, run, header=True) for n, rows in of_run.items()},
        }.items():
            (run / f"{name}.csv").write_bytes(content)
    return folder


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the trials and numbers of one run."""
    rows = list(numbers())
    trials = pd.DataFrame([trial for trial, _ in rows]).drop_duplicates("trial_id")
    shared: dict[str, Any] = {
        "attempt": 1,
        "value": 1.0,
        "bound": "",
        "unit": "s",
        "n": 64,
        "method": "x",
    }
    metrics = pd.DataFrame([{"trial_id": t.trial_id, "metric": b.metric} for t, b in rows])
    metrics = metrics.assign(**shared, is_valid=1)
    return trials, metrics[schema("metric").names]


def numbers() -> Iterator[tuple[Any, Benchmark]]:
    """Yield a trial and a benchmark that it has a number for: some 20 of each label and block."""
    for benchmark in benchmarks():
        if benchmark.module != "standard" or benchmark.metric.startswith("broker"):
            continue
        arrival = benchmark.case.arrival
        nominal_ns, size = benchmark.size
        for label in range(LABELS):
            for block in range(BLOCKS):
                yield (
                    replace(
                        BLANK,
                        **SHARED,
                        trial_id=f"{benchmark.group}{label}-{block}",
                        block=block,
                        label=f"system{label}[one]@default",
                        workload=benchmark.case.workload,
                        size=size,
                        nominal_ns=nominal_ns,
                        arrival=arrival.kind,
                        rate_hz=getattr(arrival, "rate_hz", None),
                        cores_per_node=1,
                        workers_per_node=1,
                        workers=1,
                        n_planned=arrival.n_tasks,
                    ),
                    benchmark,
                )


def test_export_of_a_hundred_commits(benchmark: Any, repository: Path, n_commits: int) -> None:
    """All CSV in, asv's files out."""
    results = repository / "results"
    files = benchmark.pedantic(
        lambda: export(results, run_index.read(results, repository)), rounds=1
    )
    assert len([file for file in files if "-lab-" in file.name]) == n_commits
    benchmark.extra_info["megabytes"] = sum(file.stat().st_size for file in files) / 1e6


def test_publish_of_a_hundred_commits(benchmark: Any, repository: Path) -> None:
    """Pages of them, by asv."""
    command = [sys.executable, "-m", "asv", "publish"]
    benchmark.pedantic(
        lambda: subprocess.run(command, cwd=repository, check=True, capture_output=True), rounds=1
    )
    assert (repository / "results/asv-html/index.html").exists()


def test_steps_of_a_hundred_commits(benchmark: Any, repository: Path) -> None:
    """Two detectors over 500 curves of 100 points, in which there is nothing to find."""
    history = run_index.read(repository / "results", repository)
    changes = benchmark.pedantic(lambda: change_points.find_change_points(history, {}), rounds=1)
    assert changes.n_series >= 500
    benchmark.extra_info["false_alarms"] = sum(one.row.status == "alarm" for one in changes.changes)
