"""Simulates trials with a virtual clock: instants, queues, and the resulting tables."""

from __future__ import annotations

import heapq
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.results.schema import TrialRow

Instants = NDArray[np.float64]
"""Instants or durations in seconds, one per task."""


def poisson(rng: np.random.Generator, rate_hz: float, n: int) -> Instants:
    """Return the instants of a Poisson plan."""
    return np.cumsum(rng.exponential(1 / rate_hz, n))


def serve_one(t0: Instants, service: Instants) -> Instants:
    """Return finish instants of one FIFO worker: ``t4_i = max(t0_i, t4_{i-1}) + S_i``."""
    work = np.cumsum(service)
    return np.asarray(work + np.maximum.accumulate(t0 - (work - service)))


def serve(t0: Instants, service: Instants, workers: int) -> Instants:
    """Return finish instants of several workers; the first free worker takes the next task."""
    free, t4 = [0.0] * workers, np.empty_like(t0)
    for i, (instant, work) in enumerate(zip(t0.tolist(), service.tolist(), strict=True)):
        t4[i] = max(instant, free[0]) + work
        heapq.heapreplace(free, t4[i])
    return t4


def journal(t0: Instants, t1: Instants, t2: Instants) -> pd.DataFrame:
    """Return the submit table of a window in which every task was accepted."""
    instants = {"t0_ns": t0, "t1_ns": t1, "t2_ns": t2}
    rows = pd.DataFrame({"task_id": np.arange(len(t0)), **_whole(instants)})
    return rows.assign(phase="measure", ack="ok").astype({"t1_ns": "Int64", "t2_ns": "Int64"})


def window(t0: Instants, t4: Instants, service: Instants | float) -> pd.DataFrame:
    """Return the executions of a window in which every task was submitted on time and finished."""
    instants = {"t0_ns": t0, "t1_ns": t0, "t2_ns": t0, "t3_ns": t4 - service, "t4_ns": t4}
    tasks = pd.DataFrame({"task_id": np.arange(len(t0)), "outcome": "ok", **_whole(instants)})
    return tasks.assign(t5_ns=pd.array([pd.NA] * len(t0), dtype="Int64"))


def _whole(instants: dict[str, Instants]) -> dict[str, NDArray[np.int64]]:
    return {name: np.rint(1e9 * seconds).astype("int64") for name, seconds in instants.items()}


def trial(arrival: str = "paced", n_sent: int = 1_000, **changes: Any) -> TrialRow:
    """Return the columns of a trial that metrics use: 2 workers, a window of 100 s, no loss."""
    row = {
        "trial_id": "t",
        "attempt": 1,
        "arrival": arrival,
        "workload": "noop",
        "workers": 2,
        "node_mode": "cpuset",
        "throttle_ratio": None,
        "size_unit": "",
        "nominal_ns": 0,
        "work_ns": None,
        "runs_tasks": 1,
        "services": "",
        "n_sent": n_sent,
        "n_censored": 0,
        "fault": "",
        "t_end_ns": 100_000_000_000,
        "status": "ok",
        "flag": "ok",
        "cpu_driver_ns": 3_000_000_000,
        "cpu_services_ns": None,
        "cpu_workers_ns": 6_000_000_000,
        "broker_commands": None,
        "broker_bytes": None,
        "worker_processes": None,
        "instrumentation_ns": None,
    }
    return cast(TrialRow, SimpleNamespace(**row | changes))
