"""Ten million tasks: all numbers, figures and the page of such a run; `nox -s perf`.

Aim: 20 s on two cores. Memory is held to 2 GiB, for a run must never be too large to be read.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.campaigns import Campaign

pytestmark = pytest.mark.slow
TOTAL = 10_000_000
CORES = 2
PEAK_GIB = 2.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, full_size: bool) -> Path:
    """A run folder of ten million rows, written trial by trial."""
    blocks, tasks_per_trial = (19, 10_000) if full_size else (1, 100)
    plan = Campaign(blocks=blocks, paced_tasks=tasks_per_trial, burst_tasks=tasks_per_trial)
    store = Store(tmp_path_factory.mktemp("results") / "runs" / campaigns.SYNTHETIC)
    store.folder.mkdir(parents=True)
    trials, rng = campaigns.trials_of(plan), np.random.default_rng(plan.seed)
    assert not full_size or len(trials) * tasks_per_trial >= TOTAL
    for trial in trials:
        tasks = campaigns._tasks(trial, plan, rng)
        store.write_parquet(store.trial_folder(trial.trial_id, 1), "task", tasks)
        store.write_parquet(store.trial_folder(trial.trial_id, 1), "sample", [])
    store.replace("campaign", [campaigns._campaign_row(plan)])
    store.replace("environment", list(campaigns._environment()))
    store.replace("trial", trials)
    return store.folder


def test_numbers_figures_and_page_of_ten_million_tasks(benchmark: Any, run: Path) -> None:
    """From the raw rows to the page, in a fresh process on two cores."""
    command = [sys.executable, "-m", "lab.cli", "report", str(run)]
    cpus = set(sorted(os.sched_getaffinity(0))[:CORES])

    def report() -> None:
        subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )

    benchmark.pedantic(report, rounds=1)
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    benchmark.extra_info["peak_gib"] = round(peak_gib, 2)
    assert (run / "report.html").exists()
    assert peak_gib < PEAK_GIB
