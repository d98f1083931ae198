"""Simulates bursts with known costs and scaling; the lab's functions compute the metrics."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.scaling_laws import usl
from lab.analysis.sweeps import sweeps
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from tests.factories import campaigns
from tests.factories.campaigns import BLANK, BOTH, SHARED, SYNTHETIC, typed
from tests.factories.simulated import serve, window

Trial = tuple[TrialRow, list[MetricRow]]
# Overhead of the simulated backend for every task, and for every burst.
OVERHEAD_S, FIXED_S = 300e-6, 3e-3
BLOCKS, WORKERS = 6, 2
NOISE = 0.001
CELL: dict[str, Any] = {
    "label": "x[y]@default",
    "backend": "x",
    "family": "x",
    "variant": "y",
    "profile": "default",
    "workload": "noop",
    "arrival": "burst",
    "cores_per_node": WORKERS,
    "workers_per_node": WORKERS,
    "workers": WORKERS,
    "node_mode": "cpuset",
}


def burst(block: int, n: int, overhead_s: float, work_s: float = 0.0, **changes: Any) -> Trial:
    """Simulate a burst on a backend that spends `overhead_s` before each task of `work_s`.

    The overhead is CPU time of the worker. The burst takes `FIXED_S` to begin. The speed of trials
    scatters by `NOISE`.
    """
    cell = CELL | {"size": round(work_s * 1e6), "nominal_ns": round(work_s * 1e9)} | changes
    cell |= {"block": block, "n_planned": n, "n_sent": n, "n_done": n, "cpu_driver_ns": 0}
    key = [cell[name] for name in ("label", "block", "size", "workers", "cores_per_node")]
    cell["trial_id"] = re.sub(r"[^\w.]+", "-", f"{key} {n}").strip("-")
    seed = zlib.crc32(cell["trial_id"].encode())
    pace = 1 + NOISE * np.random.default_rng(seed).normal()
    busy = np.full(n, (overhead_s + work_s) * pace)
    row = TrialRow(**{**asdict(BLANK), **SHARED, **cell, "cpu_workers_ns": int(busy.sum() * 1e9)})
    zero = np.zeros(n)
    tasks = window(zero, FIXED_S + serve(zero, busy, row.workers), work_s * pace)
    return row, trial_metrics(row, tasks)


def tables(campaign: Sequence[Trial]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables `trial` and `metric` as the store would."""
    numbers = [row for _, metrics in campaign for row in metrics]
    return typed("trial", [trial for trial, _ in campaign]), typed("metric", numbers)


def whole(campaign: Sequence[Trial]) -> dict[str, pd.DataFrame]:
    """Return all tables of a campaign, as a page needs them."""
    trials, metrics = tables(campaign)
    over_trials = [r for name, b in BOTH for r in estimates(trials, metrics, name, with_noisy=b)]
    return {
        **campaigns.campaign(campaigns.Campaign(systems=campaigns.SYSTEMS[:1], blocks=1)),
        "trial": trials,
        "metric": metrics,
        "estimate": typed("estimate", over_trials),
        "trend": typed("trend", sweeps(trials, metrics, SYNTHETIC)),
    }


def overheads(overhead_s: float = OVERHEAD_S, **changes: Any) -> list[Trial]:
    """Simulate the cases of ``--workload overhead`` in the standard preset, with smaller bursts."""
    return [
        trial
        for block in range(BLOCKS)
        for trial in (
            *(burst(block, n, overhead_s, **changes) for n in (200, 500, 1_000, 2_000, 4_000)),
            *(
                burst(block, 1_000, overhead_s, us / 1e6, **{**changes, "workload": "cpu"})
                for us in (10, 30, 100, 300, 1_000, 3_000, 10_000)
            ),
        )
    ]


# The inline loop, which takes 1.25 ms for work that is calibrated to 1 ms.
INLINE: dict[str, Any] = {
    "label": "inline[call]@default",
    "backend": "inline",
    "family": "reference",
    "variant": "call",
    "workload": "cpu",
    "workers": 1,
    "workers_per_node": 1,
    "cores_per_node": 1,
}
SIGMA, KAPPA = 0.05, 0.002


def at(block: int, workers: int, n: int, cores: int = 1, **changes: Any) -> Trial:
    """Simulate tasks of 1 ms on a backend that scales by Gunther's law."""
    size = {"workers": workers, "workers_per_node": workers, "cores_per_node": cores}
    alone, together = usl(np.array([1.0, workers]), 1e3, SIGMA, KAPPA)
    slowdown = workers * float(alone / together)
    return burst(block, n, 1e-3 * (slowdown - 1), 1e-3, **{"workload": "cpu", **size, **changes})


def sweep(steps: Sequence[int], **changes: Any) -> list[Trial]:
    """Simulate the same 600 tasks with growing numbers of workers on one core."""
    return [at(block, workers, 600, **changes) for block in range(BLOCKS) for workers in steps]
