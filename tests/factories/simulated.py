"""Simulated trials on a clock of their own: plans, queues, and the tables they would leave."""

from __future__ import annotations

import heapq
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.results.schema import TrialRow

Instants = NDArray[np.float64]
"""Instants or durations in seconds, one a task."""


def poisson(rng: np.random.Generator, rate_hz: float, n: int) -> Instants:
    """Make the instants of a Poisson plan."""
    return np.cumsum(rng.exponential(1 / rate_hz, n))


def serve_one(t0: Instants, service: Instants) -> Instants:
    """Serve in order with one worker: ``t4_i = max(t0_i, t4_{i-1}) + S_i``, without the loop."""
    work = np.cumsum(service)
    return np.asarray(work + np.maximum.accumulate(t0 - (work - service)))


def serve(t0: Instants, service: Instants, workers: int) -> Instants:
    """Serve in order with several workers, the next task by the one that is free first."""
    free, t4 = [0.0] * workers, np.empty_like(t0)
    for i, (instant, work) in enumerate(zip(t0.tolist(), service.tolist(), strict=True)):
        t4[i] = max(instant, free[0]) + work
        heapq.heapreplace(free, t4[i])
    return t4


def journal(t0: Instants, t1: Instants, t2: Instants) -> pd.DataFrame:
    """Make the submit table of a window in which every task was accepted."""
    given = {"t0_ns": t0, "t1_ns": t1, "t2_ns": t2}
    rows = pd.DataFrame({"task_id": np.arange(len(t0)), **_whole(given)})
    return rows.assign(phase="measure", ack="ok").astype({"t1_ns": "Int64", "t2_ns": "Int64"})


def window(t0: Instants, t4: Instants, service: Instants | float) -> pd.DataFrame:
    """Make the executions of a window in which every task was sent as intended and answered."""
    given = {"t0_ns": t0, "t1_ns": t0, "t2_ns": t0, "t3_ns": t4 - service, "t4_ns": t4}
    tasks = pd.DataFrame({"task_id": np.arange(len(t0)), "outcome": "ok", **_whole(given)})
    return tasks.assign(t5_ns=pd.array([pd.NA] * len(t0), dtype="Int64"))


def _whole(instants: dict[str, Instants]) -> dict[str, NDArray[np.int64]]:
    return {name: np.rint(1e9 * seconds).astype("int64") for name, seconds in instants.items()}


def trial(arrival: str = "paced", n_sent: int = 1_000, **changes: Any) -> TrialRow:
    """Make what metrics read of a trial's row: 2 workers, a window to 100 s, nothing lost."""
    row = {
        "trial_id": "t",
        "attempt": 1,
        "arrival": arrival,
        "workers": 2,
        "node_mode": "cpuset",
        "throttle_ratio": None,
        "nominal_ns": 0,
        "executes": 1,
        "services": "",
        "n_sent": n_sent,
        "n_lost": 0,
        "n_partial": 0,
        "t_end_ns": 100_000_000_000,
        "status": "ok",
        "flag": "ok",
        "cpu_driver_ns": 3_000_000_000,
        "cpu_services_ns": None,
        "cpu_workers_ns": 6_000_000_000,
        "broker_commands": None,
        "broker_bytes": None,
        "worker_processes": None,
        "harness_ns": None,
    }
    return cast(TrialRow, SimpleNamespace(**row | changes))
