"""Tests the backlog and its verdict on simulated queues with a known load (METHOD M8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.backlog import backlog, trend
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.statistics import RefusedError
from tests.factories.simulated import poisson, serve, trial, window

SPEED_HZ = 500.0
WORKERS = 2
SECONDS = 10


def loaded(rho: float, seed: int, gaps: str = "poisson", n: int = 0) -> pd.DataFrame:
    """Simulate a window of two workers with exponential service times at the utilization `rho`."""
    rng, rate = np.random.default_rng(seed), rho * SPEED_HZ
    n = n or round(rate * SECONDS)
    t0 = poisson(rng, rate, n) if gaps == "poisson" else np.arange(1, n + 1) / rate
    service = rng.exponential(WORKERS / SPEED_HZ, n)
    return window(t0, serve(t0, service, WORKERS), service)


def metrics_of(tasks: pd.DataFrame, **changes: Any) -> dict[str, float | None]:
    """Return the metrics of a window by name."""
    rows = trial_metrics(trial(n_sent=len(tasks), **changes), tasks)
    return {row.metric: row.value for row in rows}


def test_the_slope_of_an_overload_is_the_excess_rate() -> None:
    """At rho 1.2 the backlog's slope is lambda - mu within 10 %, and the verdict is overloaded."""
    slopes, excesses = [], []
    for seed in range(10):
        values = metrics_of(loaded(1.2, seed))
        assert values["overloaded"] == 1
        assert values["backlog_slope_low_per_s"] > 0  # type: ignore[operator]
        slopes.append(values["backlog_slope_per_s"])
        excesses.append(values["arrival_minus_completion_per_s"])
    assert np.mean(slopes) == pytest.approx(0.2 * SPEED_HZ, rel=0.1)  # type: ignore[arg-type]
    assert slopes == pytest.approx(excesses, rel=0.2)


@pytest.mark.parametrize("rho", [0.3, 0.7, 0.9])
def test_below_capacity_the_slope_s_interval_contains_zero(rho: float) -> None:
    """It does so in at least 90 % of 40 trials, although readings of one queue are correlated."""
    inside = 0
    for seed in range(40):
        slope = backlog(trial(), loaded(rho, seed)).slope
        inside += (slope.low or 0) <= 0 <= (slope.high or 0)
    assert inside >= 36


def test_an_interval_for_independent_readings_would_be_too_narrow() -> None:
    """On random walks the interval of plain least squares contains 0 in less than half of them."""
    inside = 0
    for seed in range(40):
        values = np.cumsum(np.random.default_rng(seed).normal(0, 1, 200)) * 0.95
        at = np.linspace(0, 1, 40)
        x, y = at - at.mean(), values[::5]
        slope = x @ y / (x @ x)
        residuals = y - y.mean() - slope * x
        half = 2.02 * np.sqrt(residuals @ residuals / 38 / (x @ x))
        inside += abs(slope) <= half
        corrected = trend(at, y)
        assert (corrected.high or 0) - (corrected.low or 0) > 2 * half
    assert inside < 20


@pytest.mark.parametrize(("rho", "verdict"), [(0.1, 0), (0.3, 0), (1.5, 1)])
def test_running_tasks_of_a_short_window_are_no_backlog(rho: float, verdict: int) -> None:
    """One of 64 tasks is more than 1 %, and at any time one is running."""
    values = [metrics_of(loaded(rho, seed, "uniform", n=64))["overloaded"] for seed in range(20)]
    assert set(values) <= {verdict, None}
    assert values.count(verdict) >= 16


@pytest.mark.parametrize(("rho", "verdict"), [(0.5, 0), (0.8, 0), (1.05, 1), (1.3, 1)])
def test_uniformly_paced_probes_never_get_the_wrong_verdict(rho: float, verdict: int) -> None:
    """Some may have no verdict, because they are near the capacity."""
    values = [metrics_of(loaded(rho, seed, "uniform"))["overloaded"] for seed in range(10)]
    assert set(values) <= {verdict, None}
    assert values.count(verdict) >= 8


def test_a_backlog_that_cannot_be_computed_is_refused_with_its_reason() -> None:
    """Too few tasks and tasks due at one instant are refused."""
    tasks = loaded(0.5, 1)
    late = tasks.assign(t4_ns=tasks["t4_ns"].where(tasks.index < len(tasks) - 60, 2 * 10**10))
    rows = {row.metric: row for row in trial_metrics(trial(n_sent=len(late)), late)}
    assert rows["overloaded"].value is None or rows["overloaded"].value == 1
    with pytest.raises(RefusedError, match="needs 50 tasks"):
        backlog(trial(), loaded(0.5, 1, n=49))
    same = window(np.zeros(60), np.ones(60), 0.1)
    with pytest.raises(RefusedError, match="one instant"):
        backlog(trial(), same)


def test_tasks_that_never_finish_count_as_backlog() -> None:
    """Every fifth task is lost: the backlog grows by them, and the drain lasts until the end."""
    tasks = loaded(0.5, 2)
    lost = tasks.assign(t4_ns=tasks["t4_ns"].astype("Int64").mask(tasks["task_id"] % 5 == 0))
    lost["outcome"] = lost["outcome"].where(lost["t4_ns"].notna(), "unfinished")
    rows = {row.metric: row for row in trial_metrics(trial(n_sent=len(lost)), lost)}
    assert rows["overloaded"].value == 1
    assert rows["backlog_slope_per_s"].value == pytest.approx(0.2 * 0.5 * SPEED_HZ, rel=0.15)
    assert rows["drain_share"].bound == ">"
