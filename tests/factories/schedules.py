"""Adds periodic trials to a synthetic campaign."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import Job
from lab.results.schema import TrialRow
from lab.results.schema.task import TaskRow
from lab.validation.schedule_match import match_firings
from tests.factories.campaigns import BOTH, typed

MS = 1_000_000
SECOND = 1_000_000_000
SCHEDULES = {
    "1 job every 1 s": Job(0, "f", 0, every_s=1.0),
    "1 job at * * * * *": Job(0, "f", 0, cron="* * * * *"),
}
N_OCCURRENCES = 30
TRIALS = 2
# By label: lateness of the first firing in ms, and the increase with each occurrence in ms.
FAULTS: Mapping[str, tuple[float, float]] = {
    "inline[call]@default": (0.2, 0.0),
    "rq[worker]@default": (40.0, 2.0),
}


def with_schedules(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add periodic trials to a synthetic campaign: each has a missed and a doubled occurrence."""
    rng = np.random.default_rng(3)
    firings = {trial.trial_id: (trial, _firings(trial, rng)) for trial in _trials(tables["trial"])}
    judged = {trial_id: _judged(trial, rows) for trial_id, (trial, rows) in firings.items()}
    metrics = [
        metric
        for trial_id, (trial, rows) in firings.items()
        for metric in trial_metrics(trial, rows, judged[trial_id])
    ]
    more: dict[str, Any] = {
        "trial": [trial for trial, _ in firings.values()],
        "metric": metrics,
        "task": pd.concat(rows for _, rows in firings.values()),
        "firing": pd.concat(judged.values()),
    }
    both = {**tables, **{name: added(name, tables[name], rows) for name, rows in more.items()}}
    of = both["trial"], both["metric"]
    over_trials = [row for name, noisy in BOTH for row in estimates(*of, name, with_noisy=noisy)]
    return both | {"estimate": typed("estimate", over_trials)}


def added(name: str, table: pd.DataFrame, rows: Sequence[Any] | pd.DataFrame) -> pd.DataFrame:
    """Append rows to a synthetic table; rows without an attempt belong to the first."""
    frame = typed(name, rows)
    if "attempt" not in frame.columns:
        frame = frame.assign(attempt=1)
    return pd.concat([table, frame], ignore_index=True)


def _trials(trials: pd.DataFrame) -> Iterator[TrialRow]:
    for label in FAULTS:
        like = trials[(trials["label"] == label) & (trials["status"] == "ok")].iloc[0]
        plain = {name: None if pd.isna(value) else value for name, value in like.items()}
        for schedule in SCHEDULES:
            for block in range(TRIALS):
                yield replace(
                    TrialRow(**plain),  # type: ignore[arg-type]
                    trial_id=f"{zlib.crc32((label + schedule).encode()):08x}{block:08x}",
                    block=block,
                    arrival="periodic",
                    schedule=schedule,
                    rate_hz=None,
                    interarrival="",
                    flag="ok",
                    flag_reasons="",
                    n_planned=1,
                    n_sent=1,
                    n_lost=0,
                    t_end_ns=10_000 * SECOND,
                )


def _judged(trial: TrialRow, firings: pd.DataFrame) -> pd.DataFrame:
    window_ns = (0, trial.t_end_ns or 0)
    return match_firings([SCHEDULES[trial.schedule]], firings, N_OCCURRENCES, window_ns, 0)


def _firings(trial: TrialRow, rng: np.random.Generator) -> pd.DataFrame:
    late_ms, drift_ms = FAULTS[trial.label]
    period = SECOND if "every" in trial.schedule else 60 * SECOND
    k = np.arange(N_OCCURRENCES + 1)
    late = (late_ms + drift_ms * k + rng.exponential(late_ms / 10, len(k))) * MS
    t3 = ((k + 1) * period + late).astype("int64")
    t3 = np.sort(np.concatenate([np.delete(t3, 7), [t3[12] + period // 2]]))
    rows = pd.DataFrame({field.name: pd.NA for field in fields(TaskRow)}, index=range(len(t3)))
    known: dict[str, Any] = {"trial_id": trial.trial_id, "task_id": 0, "phase": "measure"}
    known |= {"attempt_no": np.arange(len(t3)) + 1, "node": 0, "worker": "1:1", "outcome": "ok"}
    known |= {"t0_ns": 0, "t3_ns": pd.array(t3, "Int64"), "t4_ns": pd.array(t3 + MS, "Int64")}
    return rows.assign(**known)
