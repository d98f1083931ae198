"""Tests KAT-1 to KAT-7 (docs/method.md): answers known from theory, without a real system.

Systems here are simulated event by event, on a clock of their own; the numbers come from the
lab's own metrics and estimates. KAT-10 is in test_histories.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.latency import durations, one_row_a_task
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.statistics import RefusedError, interval, paired_ratio, percentile
from lab.core.model import Estimate
from tests.factories.simulated import Instants, poisson, serve, serve_one, trial, window


def told(tasks: pd.DataFrame) -> dict[str, float]:
    """Compute the lab's metrics of a paced trial, without the refused ones."""
    rows = trial_metrics(trial(n_sent=len(tasks)), tasks)
    return {row.metric: row.value for row in rows if row.value is not None}


def took(tasks: pd.DataFrame, start: str = "t0_ns") -> Instants:
    """Return t4 - `start` of each task in seconds as the lab's metrics see it."""
    row = trial(n_sent=len(tasks))
    return durations(row, one_row_a_task(tasks), start, "t4_ns")[0]


# KAT-1: a server that freezes for the second half of 200 s. -------------------------------------

LENGTH_S, GAP_S, SERVICE_S = 200.0, 0.01, 0.001


def answered(sent: float) -> float:
    """Return when the stub answers what was sent: after 1 ms, or 1 ms after the freeze."""
    return (LENGTH_S if sent >= LENGTH_S / 2 else sent) + SERVICE_S


@pytest.fixture(scope="module")
def open_loop() -> pd.DataFrame:
    """Offer 100 requests a second for 200 s as planned, whatever the stub does."""
    t0 = np.arange(0, LENGTH_S, GAP_S)
    t4 = np.array([answered(sent) for sent in t0])
    return window(t0, t4, SERVICE_S)


@pytest.fixture(scope="module")
def closed_loop() -> pd.DataFrame:
    """Offer as one client does that waits for each answer and takes the send for the start."""
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
    """Mean T/8, p75 T/4, p99 0.49 T: what users of the frozen server see (M6)."""
    found, latency = told(open_loop), took(open_loop)
    assert found["end_to_end_s_mean"] == pytest.approx(LENGTH_S / 8, rel=1e-3)
    assert percentile(latency, 75).value == pytest.approx(LENGTH_S / 4, rel=1e-3)
    assert found["end_to_end_s_p99"] == pytest.approx(0.49 * LENGTH_S, rel=1e-3)
    assert found["service_s_p50"] == pytest.approx(SERVICE_S)


def test_kat_1_a_closed_loop_recorder_hides_it(closed_loop: pd.DataFrame) -> None:
    """The same stub looks like 1 ms at p99 and p99.99, and like 11 ms in the mean."""
    found, latency = told(closed_loop), took(closed_loop)
    assert found["end_to_end_s_p99"] == pytest.approx(SERVICE_S)
    assert found["end_to_end_s_mean"] == pytest.approx(0.011, abs=1e-4)
    assert np.percentile(latency, 99.99, method="inverted_cdf") == pytest.approx(SERVICE_S)
    assert latency.max() == pytest.approx(LENGTH_S / 2, rel=1e-3)
    with pytest.raises(RefusedError, match="needs 66381 tasks"):
        percentile(latency, 99.99)


def test_kat_1_the_known_correction_leads_back_to_the_intended_start(
    closed_loop: pd.DataFrame,
) -> None:
    """HdrHistogram's `record_corrected_value` adds the requests that the client did not send.

    For each latency above the expected gap it records latency - gap, latency - 2 gap, ... too.
    """
    latency = took(closed_loop)
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
    found = told(tasks)
    assert found["end_to_end_s_p95"] == pytest.approx(0.100, abs=2e-3)
    assert found["end_to_end_s_p99"] == pytest.approx(0.180, abs=2e-3)
    assert percentile(took(tasks), 99.9).value == pytest.approx(0.198, abs=2e-3)
    assert found["end_to_end_s_p50"] == 0


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
def test_kat_3_one_worker_waits_as_pollaczek_and_khinchine_say(
    kind: str, load: float, wait: float
) -> None:
    """The mean wait is lambda E[S^2] / (2 (1 - rho)), with S as measured.

    The tolerance is the simulation's own: at rho 0.9 waits stay alike for hundreds of tasks.
    """
    rng, n = np.random.default_rng(3), 400_000
    service = np.ones(n) if kind == "constant" else rng.exponential(1.0, n)
    t0 = poisson(rng, load, n)
    tasks = window(t0, serve_one(t0, service), service)
    measured = took(tasks, "t3_ns")
    rate = n / float(t0[-1])
    formula = rate * (measured**2).mean() / (2 * (1 - rate * measured.mean()))
    found = told(tasks)["queue_latency_s_mean"]
    assert found == pytest.approx(formula, rel=0.05)
    assert found == pytest.approx(wait, rel=0.08)


@pytest.mark.parametrize(
    ("workers", "load", "wait"),
    [(2, 0.5, 0.333), (2, 0.8, 1.778), (4, 0.8, 0.746), (8, 0.8, 0.286), (8, 0.9, 0.877)],
)
def test_kat_4_several_workers_wait_as_erlang_says(workers: int, load: float, wait: float) -> None:
    """The mean wait in units of the mean service is Erlang's C formula."""
    rng, n = np.random.default_rng(4), 200_000
    t0, service = poisson(rng, load * workers, n), rng.exponential(1.0, n)
    tasks = window(t0, serve(t0, service, workers), service)
    assert told(tasks)["queue_latency_s_mean"] == pytest.approx(wait, rel=0.06)


# KAT-5 and KAT-6: intervals that hold what they promise. ----------------------------------------

REPETITIONS = 800


def holds(estimate: Estimate, truth: float) -> bool:
    """Tell whether the interval contains the truth."""
    return (
        estimate.low is not None
        and estimate.high is not None
        and estimate.low <= truth <= estimate.high
    )


def test_kat_5_intervals_over_trials_cover_and_pooled_ones_do_not() -> None:
    """10 trials of 300 tasks, 3 % between and 30 % within: 95 % means 95 % of the truth.

    Pooling the tasks takes 3000 numbers for independent that share ten disturbances.
    """
    rng = np.random.default_rng(5)
    by_trial = pooled = 0
    for _ in range(REPETITIONS):
        means = rng.normal(1.0, 0.03, (10, 1))
        tasks = means * rng.normal(1.0, 0.30, (10, 300))
        by_trial += holds(interval(tasks.mean(axis=1).tolist()), 1.0)
        ignoring = tasks.ravel()
        error = ignoring.std(ddof=1) / np.sqrt(ignoring.size)
        pooled += abs(ignoring.mean() - 1.0) <= 1.96 * error
    assert 0.93 <= by_trial / REPETITIONS <= 0.97
    assert pooled / REPETITIONS < 0.80


def test_kat_6_a_drifting_machine_does_not_part_two_equal_systems() -> None:
    """A/A, 10 blocks, 15 % drift, 2 % noise: pairs inside blocks err in 5 % of 800 experiments.

    Inside a block both run once, one after the other in random order (METHOD M3, M12). All of one
    and then all of the other would call two equal systems different nine times of ten.
    """
    rng, blocks = np.random.default_rng(6), 10
    drift = np.linspace(1.0, 1.15, 2 * blocks)
    paired = apart = 0
    for _ in range(REPETITIONS):
        times = drift * np.exp(rng.normal(0, 0.02, 2 * blocks))
        first = rng.integers(0, 2, blocks)
        in_blocks = times.reshape(blocks, 2)
        a, b = (in_blocks[np.arange(blocks), side].tolist() for side in (first, 1 - first))
        paired += not holds(paired_ratio(a, b), 1.0)
        apart += not holds(paired_ratio(times[:blocks].tolist(), times[blocks:].tolist()), 1.0)
    assert 0.03 <= paired / REPETITIONS <= 0.07
    assert apart / REPETITIONS > 0.90


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
    """Of every latency exactly the percentiles of METHOD M11 are told; the others are rows."""
    t0 = np.arange(n) / 10
    tasks = window(t0, t0 + 0.2, 0.1)
    rows = {row.metric: row for row in trial_metrics(trial(n_sent=len(tasks)), tasks)}
    for name in ("queue_latency_s", "end_to_end_s"):
        told_of = {q for q in ("p50", "p90", "p95", "p99") if rows[f"{name}_{q}"].value is not None}
        assert told_of == supported
        refused = [rows[f"{name}_{q}"] for q in ("p50", "p90", "p95", "p99") if q not in told_of]
        assert all(row.is_valid == 0 and "METHOD M11" in row.method for row in refused)
