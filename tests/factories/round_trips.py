"""Adds round trips to a synthetic campaign: one task at a time, each awaited by the client."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import RoundTrip
from lab.results.schema import TrialRow
from tests.factories.campaigns import BOTH, typed
from tests.factories.rows import as_rows
from tests.factories.schedules import added

N_TASKS = 40
MS = 1_000_000
# By family: milliseconds of a round trip.
TAKES_MS: Mapping[str, float] = {"reference": 0.02, "threads": 0.1, "rq": 30.0}
OTHER_MS = 1.0


def with_round_trips(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add a trial of round trips for each burst of no-ops on one core."""
    rng = np.random.default_rng(11)
    windows = [_window(trial, rng) for trial in as_rows(tables["trial"], "trial") if _fits(trial)]
    more: dict[str, Sequence[Any]] = {
        "trial": [trial for trial, _ in windows],
        "metric": [row for trial, tasks in windows for row in trial_metrics(trial, tasks)],
    }
    both = {**tables, **{name: added(name, tables[name], rows) for name, rows in more.items()}}
    of = both["trial"], both["metric"]
    over_trials = [row for name, noisy in BOTH for row in estimates(*of, name, with_noisy=noisy)]
    return both | {"estimate": typed("estimate", over_trials)}


def _fits(trial: TrialRow) -> bool:
    place = (trial.arrival, trial.workload, trial.workers)
    return place == ("burst", "noop", 1) and trial.status == "ok"


def _window(like: TrialRow, rng: np.random.Generator) -> tuple[TrialRow, pd.DataFrame]:
    trial = replace(
        like,
        trial_id=f"{zlib.crc32(f'round {like.trial_id}'.encode()):016x}",
        arrival=RoundTrip.kind,
        n_planned=N_TASKS,
        n_sent=N_TASKS,
        n_done=N_TASKS,
    )
    took = TAKES_MS.get(like.family, OTHER_MS) * np.exp(rng.normal(0, 0.2, N_TASKS)) * MS
    t5 = np.cumsum(took).astype("int64")
    t0 = t5 - took.astype("int64")
    half = took.astype("int64") // 2
    tasks = pd.DataFrame({"trial_id": trial.trial_id, "task_id": np.arange(N_TASKS)})
    tasks = tasks.assign(attempt_no=1, phase="measure", worker="1:1", outcome="ok")
    tasks = tasks.assign(t0_ns=t0, t1_ns=t0, t2_ns=t0 + half // 2)
    later = {"t3_ns": t0 + half, "t4_ns": t0 + half + 1_000, "t5_ns": t5, "node": [0] * N_TASKS}
    whole = {name: pd.array(values, "Int64") for name, values in later.items()}
    return trial, tasks.assign(**whole, answer=pd.array([pd.NA] * N_TASKS, "Int64"))
