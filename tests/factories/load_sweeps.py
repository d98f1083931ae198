"""Adds a load sweep to a synthetic campaign.

Each backend is one FIFO worker with a constant service time, so that its sustainable rate and the
waits of its tasks are known exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis import capacity_estimates
from lab.analysis.capacity import capacities, utilization
from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.results.schema import TrialRow
from tests.factories.campaigns import BOTH, SYNTHETIC, typed
from tests.factories.schedules import added
from tests.factories.simulated import poisson, serve_one, window

# Tasks per second of each label's worker.
SPEEDS: Mapping[str, float] = {"inline[call]@default": 2_000.0, "rq[worker]@default": 100.0}
HELD, FAILED = 0.95, 1.05  # rates of a passed and a failed probe, as shares of the speed
FRACTIONS = (0.3, 0.9, 1.2)
EQUAL_HZ = 40.0
TRIALS = 2
TASKS = 2_000  # enough to detect an overload of a seventh


def with_load_sweep(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add probes and load levels of two backends to a synthetic campaign."""
    rng = np.random.default_rng(8)
    sweep = [(trial, _tasks(trial, rng)) for trial in _trials(tables["trial"])]
    # A file of tasks has no column for the attempt, which is in the name of its folder.
    columns = [name for name in tables["task"].columns if name != "attempt"]
    more: dict[str, Any] = {
        "trial": [trial for trial, _ in sweep],
        "task": pd.concat(tasks for _, tasks in sweep)[columns],
        "metric": [row for trial, tasks in sweep for row in trial_metrics(trial, tasks)],
    }
    both = {**tables, **{name: added(name, tables[name], rows) for name, rows in more.items()}}
    capacity = capacities(both["trial"], both["metric"])
    rho = typed("metric", utilization(both["trial"], both["metric"]))
    both["metric"] = pd.concat([both["metric"], rho], ignore_index=True)
    of = both["trial"], both["metric"]
    over_trials = [row for name, noisy in BOTH for row in estimates(*of, name, with_noisy=noisy)]
    of_capacity = capacity_estimates.estimates(*of, capacity, SYNTHETIC)
    return both | {"estimate": typed("estimate", [*over_trials, *of_capacity])}


def _trials(trials: pd.DataFrame) -> Iterator[TrialRow]:
    for label, speed in SPEEDS.items():
        like = trials[(trials["label"] == label) & (trials["status"] == "ok")].iloc[0]
        plain = {name: None if pd.isna(value) else value for name, value in like.items()}
        base = replace(
            TrialRow(**plain),  # type: ignore[arg-type]
            workload="noop", size=0, nominal_ns=0, nodes=1, cores_per_node=1, workers_per_node=1,
            workers=1, node_mode="cpuset", flag="ok", flag_reasons="", n_planned=TASKS,
            n_sent=TASKS, n_done=TASKS, n_lost=0, n_censored=0, t_end_ns=10**12,
        )  # fmt: skip
        probes = [("rate-probe", "uniform", share * speed, 0) for share in (HELD, FAILED)]
        rates = [*(share * HELD * speed for share in FRACTIONS), EQUAL_HZ]
        levels = [
            ("load-level", "poisson", rate, block) for rate in rates for block in range(TRIALS)
        ]
        for arrival, gaps, rate, block in (*probes, *levels):
            name = f"{label}{arrival}{rate}"
            changes = {"arrival": arrival, "interarrival": gaps, "rate_hz": float(f"{rate:.4g}")}
            trial_id = f"{zlib.crc32(name.encode()):08x}{block:08x}"
            yield replace(base, trial_id=trial_id, block=block, **changes)  # type: ignore[arg-type]


def _tasks(trial: TrialRow, rng: np.random.Generator) -> pd.DataFrame:
    rate, service = trial.rate_hz or 1.0, np.full(TASKS, 1 / SPEEDS[trial.label])
    t0 = poisson(rng, rate, TASKS)
    if trial.interarrival == "uniform":
        t0 = np.arange(1, TASKS + 1) / rate
    known: dict[str, Any] = {"trial_id": trial.trial_id, "attempt_no": 1, "phase": "measure"}
    known |= {"node": 0, "worker": "1:1", "answer": pd.array([pd.NA] * TASKS, dtype="Int64")}
    return window(t0, serve_one(t0, service), service).assign(**known)
