"""Adds memory readings and idle trials to a synthetic campaign."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import METRICS, trial_metrics
from lab.results.schema import TrialRow
from lab.results.schema.task import SampleRow
from tests.factories.campaigns import BOTH, Campaign, campaign, typed
from tests.factories.rows import as_rows
from tests.factories.schedules import added, with_schedules

SECOND = 1_000_000_000
MB = 1_000_000
BASE_MB, WORKER_MB = 20, 15  # shared by all workers, and of each worker
DRAINED = 1.1  # memory after the drain, as a multiple of an idle worker's
IDLE_WAKEUPS_PER_S = 4.0
MEMORY = ("pss_bytes", "rss_bytes", "anonymous_bytes")


def with_upkeep(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add memory readings to every burst trial, and an idle trial for each label and block."""
    rng = np.random.default_rng(5)
    bursts = [row for row in as_rows(tables["trial"], "trial") if row.arrival == "burst"]
    idle = [_idle(trial) for trial in bursts if trial.workers == 1 and trial.workload == "noop"]
    samples = {trial.trial_id: _samples(trial, rng) for trial in [*bursts, *idle]}
    metrics = [
        row
        for trial in [*bursts, *idle]
        for row in trial_metrics(trial, tables["task"].iloc[:0], None, samples[trial.trial_id])
        if METRICS[row.metric].table == "sample"
    ]
    more: dict[str, list[Any]] = {"trial": idle, "metric": metrics}
    both = {**tables, **{name: added(name, tables[name], rows) for name, rows in more.items()}}
    both["sample"] = typed("sample", pd.concat(samples.values())).assign(attempt=1)
    of = both["trial"], both["metric"]
    over_trials = [row for name, noisy in BOTH for row in estimates(*of, name, with_noisy=noisy)]
    return both | {"estimate": typed("estimate", over_trials)}


def everything(plan: Campaign) -> dict[str, pd.DataFrame]:
    """Return a synthetic campaign with burst, paced, periodic and idle trials."""
    return with_upkeep(with_schedules(campaign(plan)))


def _idle(trial: TrialRow) -> TrialRow:
    return replace(
        trial,
        trial_id=f"{zlib.crc32(trial.trial_id.encode()):016x}",
        arrival="idle",
        schedule="idle for 20 s",
        n_planned=0,
        n_sent=0,
        n_done=0,
    )


def _samples(trial: TrialRow, rng: np.random.Generator) -> pd.DataFrame:
    system_mb = BASE_MB * (1 + zlib.crc32(trial.label.encode()) % 3)
    idle_mb = (system_mb + WORKER_MB * trial.workers) * float(np.exp(rng.normal(0, 0.02)))
    in_driver = trial.family in {"reference", "threads", "asyncio"}
    role = "driver" if in_driver else "workers"
    readings = [(-1, "processes", 1.0, "1")]
    for t_s, factor in ((-1, 1.0), (5, 1.2), (10, 1.3), (15, 1.25), (21, DRAINED)):
        readings += [
            *((t_s, metric, idle_mb * factor * MB, "bytes") for metric in MEMORY),
            (t_s, "wakeups", IDLE_WAKEUPS_PER_S * trial.workers * t_s, "1"),
            (t_s, "cpu_s", 0.001 * t_s, "s"),
        ]
    rows = [(trial.trial_id, t_s * SECOND, role, *reading) for t_s, *reading in readings]
    return pd.DataFrame(rows, columns=[field.name for field in fields(SampleRow)])
