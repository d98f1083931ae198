"""Tests KAT-1 to KAT-7 (docs/method.md): answers known from theory, without a real system.

The systems are simulated event by event, with simulated time; the numbers are computed by the
lab's metrics and estimates. KAT-10 is in test_checker_histories.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.latency import durations, one_row_per_task
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.statistics import RefusedError, interval, paired_ratio, percentile
from lab.core.model import Estimate
from tests.factories.simulated import Instants, poisson, serve, serve_one, trial, window


def metrics_of(tasks: pd.DataFrame) -> dict[str, float]:
    """Return the metrics of a paced trial by name, without the refused ones."""
    rows = trial_metrics(trial(n_sent=len(tasks)), tasks)
    return {row.metric: row.value for row in rows if row.value is not None}


def latencies_s(tasks: pd.DataFrame, start: str = "t0_ns") -> Instants:
    """Return t4 - `start` of each task in seconds, as the lab's metrics compute it."""
    row = trial(n_sent=len(tasks))
    return durations(row, one_row_per_task(tasks), start, "t4_ns")[0]


# KAT-1: a server that freezes for the second half of 200 s. -------------------------------------

LENGTH_S, GAP_S, SERVICE_S = 200.0, 0.01, 0.001


def answered(sent: float) -> float:
    """Return when the server answers a request: after 1 ms, or 1 ms after the freeze."""
    return (LENGTH_S if sent >= LENGTH_S / 2 else sent) + SERVICE_S


@pytest.fixture(scope="module")
def open_loop() -> pd.DataFrame:
    """Offer 100 requests per second for 200 s as planned, whatever the server does."""
    t0 = np.arange(0, LENGTH_S, GAP_S)
    t4 = np.array([answered(sent) for sent in t0])
    return window(t0, t4, SERVICE_S)


@pytest.fixture(scope="module")
def closed_loop() -> pd.DataFrame:
    """Offer as a client that waits for each answer, and measures from its send."""
    sent, t4, now = [], [], 0.0
    for intended in np.arange(0, LENGTH_S, GAP_S):
        now = max(now, float(intended))
        if now >= LENGTH_S:
            break
        sent.append(now)
        now = answered(now)
        t4.append(now)
    return window(np.array(sent), np.array(t4), SERVICE_S)


def test_kat_1_latency_from_the_intended_start_shows_the_freeze(open_loop: pd.DataFrame) -> None:
    """The latencies of users are: mean T/8, p75 T/4, p99 0.49 T (M6)."""
    metrics, latency = metrics_of(open_loop), latencies_s(open_loop)
    assert metrics["end_to_end_s_mean"] == pytest.approx(LENGTH_S / 8, rel=1e-3)
    assert percentile(latency, 75).value == pytest.approx(LENGTH_S / 4, rel=1e-3)
    assert metrics["end_to_end_s_p99"] == pytest.approx(0.49 * LENGTH_S, rel=1e-3)
    assert metrics["service_s_p50"] == pytest.approx(SERVICE_S)


def test_kat_1_a_closed_loop_hides_the_freeze(closed_loop: pd.DataFrame) -> None:
    """For the same server, p99 and p99.99 are 1 ms, and the mean is 11 ms."""
    metrics, latency = metrics_of(closed_loop), latencies_s(closed_loop)
    assert metrics["end_to_end_s_p99"] == pytest.approx(SERVICE_S)
    assert metrics["end_to_end_s_mean"] == pytest.approx(0.011, abs=1e-4)
    assert np.percentile(latency, 99.99, method="inverted_cdf") == pytest.approx(SERVICE_S)
    assert latency.max() == pytest.approx(LENGTH_S / 2, rel=1e-3)
    with pytest.raises(RefusedError, match="needs 66381 tasks"):
        percentile(latency, 99.99)


def test_kat_1_the_known_correction_restores_the_latencies(
    closed_loop: pd.DataFrame,
) -> None:
    """HdrHistogram's `record_corrected_value` adds the requests that the client did not send.

    For each latency above the expected gap, it also records latency - gap, latency - 2 gap, ...
    """
    latency = latencies_s(closed_loop)
    unsent = [np.arange(value - GAP_S, GAP_S, -GAP_S) for value in latency[latency > GAP_S]]
    corrected = np.concatenate([latency, *unsent])
    assert corrected.mean() == pytest.approx(LENGTH_S / 8, rel=2e-3)
    assert percentile(corrected, 75).value == pytest.approx(LENGTH_S / 4, rel=2e-3)
    assert percentile(corrected, 99).value == pytest.approx(0.49 * LENGTH_S, rel=2e-3)


# KAT-2: a server that freezes for 0.2 s of every 2 s. -------------------------------------------


def test_kat_2_short_freezes_have_the_tail_of_the_formula() -> None:
    """P(L > x) = (0.2 - x) / 2: p95 0.100, p99 0.180, p99.9 0.198 s, to 2 ms."""
    t0 = poisson(np.random.default_rng(2), 500, 400_000)
    into = t0 % 2
    t4 = t0 + np.where(into < 0.2, 0.2 - into, 0)
    tasks = window(t0, t4, 0.0)
    metrics = metrics_of(tasks)
    assert metrics["end_to_end_s_p95"] == pytest.approx(0.100, abs=2e-3)
    assert metrics["end_to_end_s_p99"] == pytest.approx(0.180, abs=2e-3)
    assert percentile(latencies_s(tasks), 99.9).value == pytest.approx(0.198, abs=2e-3)
    assert metrics["end_to_end_s_p50"] == 0


# KAT-3 and KAT-4: queues whose mean wait is known. ----------------------------------------------


@pytest.mark.parametrize(
    ("kind", "load", "wait"),
    [
        ("constant", 0.5, 0.5),
        ("constant", 0.8, 2.0),
        ("constant", 0.9, 4.5),
        ("exponential", 0.5, 1.0),
        ("exponential", 0.8, 4.0),
        ("exponential", 0.9, 9.0),
    ],
)
def test_kat_3_one_worker_waits_as_in_the_formula_of_pollaczek_and_khinchine(
    kind: str, load: float, wait: float
) -> None:
    """The mean wait is lambda E[S^2] / (2 (1 - rho)), with S as measured.

    The tolerance is that of the simulation: at rho 0.9, the waits of hundreds of tasks correlate.
    """
    rng, n = np.random.default_rng(3), 400_000
    service = np.ones(n) if kind == "constant" else rng.exponential(1.0, n)
    t0 = poisson(rng, load, n)
    tasks = window(t0, serve_one(t0, service), service)
    measured = latencies_s(tasks, "t3_ns")
    rate = n / float(t0[-1])
    formula = rate * (measured**2).mean() / (2 * (1 - rate * measured.mean()))
    mean_s = metrics_of(tasks)["queue_latency_s_mean"]
    assert mean_s == pytest.approx(formula, rel=0.05)
    assert mean_s == pytest.approx(wait, rel=0.08)


@pytest.mark.parametrize(
    ("workers", "load", "wait"),
    [(2, 0.5, 0.333), (2, 0.8, 1.778), (4, 0.8, 0.746), (8, 0.8, 0.286), (8, 0.9, 0.877)],
)
def test_kat_4_several_workers_wait_as_in_erlang_c(workers: int, load: float, wait: float) -> None:
    """The mean wait in units of the mean service is Erlang's C formula."""
    rng, n = np.random.default_rng(4), 200_000
    t0, service = poisson(rng, load * workers, n), rng.exponential(1.0, n)
    tasks = window(t0, serve(t0, service, workers), service)
    assert metrics_of(tasks)["queue_latency_s_mean"] == pytest.approx(wait, rel=0.06)


# KAT-5 and KAT-6: the coverage of intervals. ----------------------------------------------------

REPETITIONS = 800


def contains(estimate: Estimate, truth: float) -> bool:
    """Return whether the interval contains the truth."""
    return (
        estimate.low is not None
        and estimate.high is not None
        and estimate.low <= truth <= estimate.high
    )


def test_kat_5_intervals_over_trials_cover_and_pooled_ones_do_not() -> None:
    """With 10 trials of 300 tasks, 3 % sd between and 30 % within, 95 % of the intervals cover.

    Pooled tasks are 3000 numbers with ten common disturbances, treated as independent.
    """
    rng = np.random.default_rng(5)
    by_trial = pooled = 0
    for _ in range(REPETITIONS):
        means = rng.normal(1.0, 0.03, (10, 1))
        tasks = means * rng.normal(1.0, 0.30, (10, 300))
        by_trial += contains(interval(tasks.mean(axis=1).tolist()), 1.0)
        values = tasks.ravel()
        error = values.std(ddof=1) / np.sqrt(values.size)
        pooled += abs(values.mean() - 1.0) <= 1.96 * error
    assert 0.93 <= by_trial / REPETITIONS <= 0.97
    assert pooled / REPETITIONS < 0.80


def test_kat_6_a_drifting_machine_does_not_separate_two_equal_systems() -> None:
    """A/A, 10 blocks, 15 % drift, 2 % noise: pairs in blocks are wrong in 5 % of 800 experiments.

    In a block, both run once, one after the other in random order (METHOD M3, M12). All trials of
    one before all of the other would report a difference in nine of ten experiments.
    """
    rng, blocks = np.random.default_rng(6), 10
    drift = np.linspace(1.0, 1.15, 2 * blocks)
    paired = separate = 0
    for _ in range(REPETITIONS):
        times = drift * np.exp(rng.normal(0, 0.02, 2 * blocks))
        first = rng.integers(0, 2, blocks)
        in_blocks = times.reshape(blocks, 2)
        a, b = (in_blocks[np.arange(blocks), side].tolist() for side in (first, 1 - first))
        paired += not contains(paired_ratio(a, b), 1.0)
        halves = times[:blocks].tolist(), times[blocks:].tolist()
        separate += not contains(paired_ratio(*halves), 1.0)
    assert 0.03 <= paired / REPETITIONS <= 0.07
    assert separate / REPETITIONS > 0.90


# KAT-7: percentiles that the sample cannot support. ---------------------------------------------


@pytest.mark.parametrize(
    ("n", "supported"),
    [
        (10, set()),
        (11, {"p50"}),
        (63, {"p50"}),
        (64, {"p50", "p90"}),
        (129, {"p50", "p90"}),
        (130, {"p50", "p90", "p95"}),
        (661, {"p50", "p90", "p95"}),
        (662, {"p50", "p90", "p95", "p99"}),
    ],
)
def test_kat_7_a_percentile_below_its_floor_is_refused(n: int, supported: set[str]) -> None:
    """Exactly the percentiles of METHOD M11 have values; the others are rows with the reason."""
    t0 = np.arange(n) / 10
    tasks = window(t0, t0 + 0.2, 0.1)
    rows = {row.metric: row for row in trial_metrics(trial(n_sent=len(tasks)), tasks)}
    for name in ("queue_latency_s", "end_to_end_s"):
        by_q = {q: rows[f"{name}_{q}"] for q in ("p50", "p90", "p95", "p99")}
        assert {q for q, row in by_q.items() if row.value is not None} == supported
        refused = [row for q, row in by_q.items() if q not in supported]
        assert all(row.is_valid == 0 and "METHOD M11" in row.method for row in refused)
