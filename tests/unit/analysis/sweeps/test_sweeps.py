"""Tests trends (numbers over several cells) on synthetic backends with known answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.sweeps import sweeps
from lab.results.schema.sweep import TrendRow
from tests.factories.bursts import (
    BLOCKS,
    CELL,
    FIXED_S,
    INLINE,
    KAPPA,
    OVERHEAD_S,
    SIGMA,
    WORKERS,
    Trial,
    at,
    burst,
    overheads,
    sweep,
    tables,
)
from tests.factories.simulated import serve, window


def trends_of(campaign: Sequence[Trial], **columns: Any) -> dict[str, TrendRow]:
    """Return the trends of a campaign that have these column values, by their metric."""
    return by_metric(sweeps(*tables(campaign), "c"), **columns)


def by_metric(rows: Sequence[TrendRow], **columns: Any) -> dict[str, TrendRow]:
    """Return the trends that have these column values, by their metric."""
    chosen = [r for r in rows if all(getattr(r, k) == value for k, value in columns.items())]
    assert len({row.metric for row in chosen}) == len(chosen), "rows of several lines: add columns"
    return {row.metric: row for row in chosen}


@pytest.fixture(scope="module")
def campaign() -> list[Trial]:
    """A campaign of a backend with an overhead of exactly 300 us per task."""
    return overheads()


def test_four_overhead_metrics_agree(campaign: list[Trial]) -> None:
    """METHOD M17: for an overhead of exactly 300 us, each of the four is within 5 % of it."""
    of_cells = {
        row.metric: row.estimate
        for row in estimates(*tables(campaign), "c", with_noisy=True)
        if (row.workload, row.n_planned) == ("noop", 4_000)
    }
    rows = trends_of(campaign)
    four = {
        "worker-seconds": of_cells["overhead_s_per_task"],
        "marginal": rows["marginal_s_per_task"].estimate,
        "METG": rows["metg_50_s"].estimate,
        "CPU seconds": of_cells["cpu_workers_s_per_task"],
    }
    assert four == {name: pytest.approx(OVERHEAD_S, rel=0.05) for name in four}
    assert rows["fixed_s"].estimate == pytest.approx(FIXED_S, rel=0.5)


def test_cost_intervals_over_blocks_contain_the_true_value(campaign: list[Trial]) -> None:
    """Each block gives one number, because the trials of a block are not independent."""
    rows = trends_of(campaign)
    # METG includes the fixed cost of a burst, divided by its tasks.
    truth = {"marginal_s_per_task": OVERHEAD_S, "metg_50_s": OVERHEAD_S + WORKERS * FIXED_S / 1_000}
    for name, known_s in truth.items():
        row = rows[name]
        assert row.n_blocks == BLOCKS
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.ci_low <= known_s * 1.01
        assert row.ci_high >= known_s * 0.99
        assert row.ci_high - row.ci_low < 0.05 * OVERHEAD_S
    assert [rows["metg_50_s"].x_axis, rows["metg_50_s"].size] == ["size", None]
    assert [rows["fixed_s"].x_axis, rows["fixed_s"].n_planned] == ["tasks", None]


def test_worker_seconds_are_work_plus_interference_plus_framework() -> None:
    """METHOD M17a: ``P T / n = w + (S_insitu - w) + rest``; interference is a separate part."""
    row, _ = burst(0, 500, OVERHEAD_S, 1e-3, workload="cpu")
    zero = np.zeros(500)
    ends = serve(zero, np.full(500, OVERHEAD_S + 1.2e-3), WORKERS)
    values = {m.metric: m.value or 0.0 for m in trial_metrics(row, window(zero, ends, 1.2e-3))}
    assert values["interference_s_per_task"] == pytest.approx(0.2e-3, rel=1e-3)
    assert values["framework_s_per_task"] == pytest.approx(OVERHEAD_S, rel=1e-3)
    parts = 1e-3 + values["interference_s_per_task"] + values["framework_s_per_task"]
    assert values["worker_s_per_task"] == pytest.approx(parts)


def test_cost_of_three_blocks_has_no_interval(campaign: list[Trial]) -> None:
    """The estimate of a smoke test has no interval, and its method states this (METHOD M2)."""
    row = trends_of([t for t in campaign if t[0].block < 3])["metg_50_s"]
    assert row.estimate
    assert (row.ci_low, row.ci_high) == (None, None)
    assert "3 blocks: no interval" in row.method


def test_metg_above_the_longest_task_is_a_bound_without_an_interval() -> None:
    """If the longest task is less than 50 % efficient, its duration is a lower bound of METG."""
    sizes = (10, 30, 100)
    slow = [burst(b, 500, 0.01, us / 1e6, workload="cpu") for b in range(BLOCKS) for us in sizes]
    row = trends_of(slow)["metg_50_s"]
    assert row.estimate == pytest.approx(100e-6)
    assert (row.bound, row.ci_low) == (">", None)
    assert "efficiency is 0.0099 at most" in row.method


def test_cost_is_refused_if_too_few_sizes_ended(campaign: list[Trial]) -> None:
    """The number is refused with a reason, not extrapolated from the other trials."""
    failed = [
        (trial, [m for m in metrics if m.metric != "makespan_s" or trial.n_planned < 1_000])
        for trial, metrics in campaign
    ]
    row = trends_of(failed)["marginal_s_per_task"]
    assert (row.estimate, row.n_blocks) == (None, 0)
    assert "bursts of 3 sizes; 2 ended" in row.method


# Scaling. ---------------------------------------------------------------------------------------

AXIS = {"x_axis": "workers", "fixed": "strong: 1 core, 600 tasks"}


def test_speed_up_has_two_bases() -> None:
    """The bases are the backend's single worker and the inline loop, with absolute rates.

    Efficiency and the serial share of Karp and Flatt use the first one (METHOD M20).
    """
    loop = [burst(b, 600, 0.25e-3, 1e-3, **INLINE) for b in range(BLOCKS)]
    rows = trends_of(loop + sweep((1, 2, 4)), label=CELL["label"], **AXIS, x=4.0)
    speed = 4 / (1 + SIGMA * 3 + KAPPA * 12)
    expected = {
        "speed_up": speed,
        "scaling_efficiency": speed / 4,
        "serial_share": (1 / speed - 1 / 4) / (1 - 1 / 4),
        "speed_up_over_inline": speed * 1.25,
    }
    estimated = {name: rows[name].estimate for name in expected}
    assert estimated == {name: pytest.approx(value, rel=0.02) for name, value in expected.items()}
    for row in rows.values():
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.estimate is not None
        assert row.ci_low < row.estimate < row.ci_high
    assert re.match(r"over \d+\.?\d* tasks/s of 1 worker; paired", rows["speed_up"].method)
    assert "tasks/s of the inline loop" in rows["speed_up_over_inline"].method


def test_speed_up_over_inline_is_refused_without_the_inline_loop() -> None:
    """The second base is missing and is not replaced by another."""
    row = trends_of(sweep((1, 2)), **AXIS, x=2.0)["speed_up_over_inline"]
    assert row.estimate is None
    assert row.method == "No block has both this throughput and that of the inline loop."


def test_points_beyond_the_cores_are_marked() -> None:
    """`oversubscription` states how a point demands more than the machine's cores."""
    rows = sweeps(*tables(sweep((1, 2))), "c")
    assert {(r.x, r.oversubscription) for r in rows if r.x} == {
        (1.0, ""),
        (2.0, "more workers than cores"),
    }
    oversubscribed = sweeps(*tables(sweep((1, 2), node_mode="oversubscribed")), "c")
    assert {row.oversubscription for row in oversubscribed if row.x} == {"oversubscribed"}
    quota = sweeps(*tables(sweep((1, 2), node_mode="quota", throttle_ratio=0.25)), "c")
    assert {r.oversubscription for r in quota if r.x} == {"quota, throttled in 25% of its periods"}


def test_weak_scaling_is_a_separate_line_with_gustafsons_share() -> None:
    """The tasks grow with the workers; a trial may belong to a weak and to a strong line."""
    weak = [at(block, p, 300 * p) for block in range(BLOCKS) for p in (1, 2, 4)]
    strong = [at(block, p, 600) for block in range(BLOCKS) for p in (1, 4)]
    trends = sweeps(*tables(weak + strong), "c")
    rows = by_metric(trends, x_axis="workers", fixed="weak: 1 core, 300 tasks per worker", x=4.0)
    speed = 4 / (1 + SIGMA * 3 + KAPPA * 12)
    assert rows["serial_share"].estimate == pytest.approx((4 - speed) / 3, rel=0.02)
    assert "Gustafson" in rows["serial_share"].method
    assert {row.fixed for row in trends} == {
        "weak: 1 core, 300 tasks per worker",
        "strong: 1 core, 600 tasks",
    }


def test_each_line_has_one_axis() -> None:
    """A grid of cores and workers has lines along workers and lines along cores."""
    grid = [
        at(block, cores * slots, 600, cores=cores)
        for block in range(2)
        for cores in (1, 2)
        for slots in (1, 2)
    ]
    points = {(row.x_axis, row.fixed, row.x) for row in sweeps(*tables(grid), "c") if row.x}
    assert points == {
        ("workers", "strong: 1 core, 600 tasks", 1.0),
        ("workers", "strong: 1 core, 600 tasks", 2.0),
        ("workers", "strong: 2 cores, 600 tasks", 2.0),
        ("workers", "strong: 2 cores, 600 tasks", 4.0),
        ("cores", "strong: 1 worker per core, 600 tasks", 1.0),
        ("cores", "strong: 1 worker per core, 600 tasks", 2.0),
        ("cores", "strong: 2 workers per core, 600 tasks", 1.0),
        ("cores", "strong: 2 workers per core, 600 tasks", 2.0),
    }


@pytest.mark.parametrize("steps", [(1, 2, 4, 8), (1, 2)])
def test_law_coefficients_are_refused_if_not_identified(steps: tuple[int, ...]) -> None:
    """Points below the knee do not identify the peak; two sizes identify no law (METHOD M21)."""
    rows = trends_of(sweep(steps), **AXIS, x=None)
    assert (rows["peak"].estimate, rows["coherency"].estimate) == (None, None)
    if len(steps) > 2:
        assert rows["contention"].estimate == pytest.approx(SIGMA, abs=0.02)
        reason = "Not identified: Amdahl's law; no retrograde scaling identified up to 8 workers"
        assert rows["peak"].method.startswith(reason)
    else:
        assert rows["contention"].estimate is None
        assert rows["contention"].method == "A law needs 3 sizes; 2 were measured."


def test_kat_8_peak_is_identified_past_the_knee() -> None:
    """With up to 32 workers, the interval of the peak of Gunther's law contains the true one."""
    peak = trends_of(sweep((1, 2, 4, 8, 16, 24, 32)), **AXIS, x=None)["peak"]
    assert peak.ci_low is not None
    assert peak.ci_high is not None
    assert peak.ci_low < 21.8 < peak.ci_high
    assert "Universal Scalability Law" in peak.method
