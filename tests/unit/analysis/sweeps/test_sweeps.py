"""Numbers over trials of several cells, from made-up systems whose answers are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lab.analysis.estimates import estimates
from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.sweeps import trends
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


def told(campaign: Sequence[Trial], **where: Any) -> dict[str, TrendRow]:
    """Return the trends of a campaign by their metric, those of one line and place."""
    rows = trends(*tables(campaign), "c")
    chosen = [r for r in rows if all(getattr(r, k) == value for k, value in where.items())]
    assert len({row.metric for row in chosen}) == len(chosen), "several lines: say which"
    return {row.metric: row for row in chosen}


@pytest.fixture(scope="module")
def campaign() -> list[Trial]:
    """A system that adds exactly 300 us to a task."""
    return overheads()


def test_the_four_ways_to_tell_what_a_task_costs_agree(campaign: list[Trial]) -> None:
    """METHOD M17: of a system that adds exactly 300 us to a task, each finds 300 us to 5 %."""
    of_cells = {
        row.metric: row.estimate
        for row in estimates(*tables(campaign), "c", with_noisy=True)
        if (row.workload, row.n_planned) == ("noop", 4_000)
    }
    rows = told(campaign)
    four = {
        "worker-seconds": of_cells["overhead_s_per_task"],
        "marginal": rows["marginal_s_per_task"].estimate,
        "smallest worth it": rows["metg_50_s"].estimate,
        "CPU seconds": of_cells["cpu_workers_s_per_task"],
    }
    assert four == {name: pytest.approx(OVERHEAD_S, rel=0.05) for name in four}
    assert rows["fixed_s"].estimate == pytest.approx(FIXED_S, rel=0.5)


def test_each_has_an_interval_over_blocks_that_holds_the_truth(campaign: list[Trial]) -> None:
    """A number a block, and its interval; the trials of one block are not independent."""
    rows = told(campaign)
    # The smallest task that is worth it pays its share of what any burst costs, too.
    truth = {"marginal_s_per_task": OVERHEAD_S, "metg_50_s": OVERHEAD_S + WORKERS * FIXED_S / 1_000}
    for name, known_s in truth.items():
        row = rows[name]
        assert row.n_blocks == BLOCKS
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.ci_low <= known_s * 1.01
        assert row.ci_high >= known_s * 0.99
        assert row.ci_high - row.ci_low < 0.05 * OVERHEAD_S
    assert (rows["metg_50_s"].along, rows["metg_50_s"].size) == ("size", None)
    assert (rows["fixed_s"].along, rows["fixed_s"].n_planned) == ("tasks", None)


def test_the_worker_seconds_of_a_task_are_work_interference_and_the_rest() -> None:
    """METHOD M17a: ``P T / n = w + (S_insitu - w) + rest``; what slows the task is told apart."""
    row, _ = burst(0, 500, OVERHEAD_S, 1e-3, workload="cpu")
    zero = np.zeros(500)
    ends = serve(zero, np.full(500, OVERHEAD_S + 1.2e-3), WORKERS)
    found = {m.metric: m.value or 0.0 for m in trial_metrics(row, window(zero, ends, 1.2e-3))}
    assert found["interference_s_per_task"] == pytest.approx(0.2e-3, rel=1e-3)
    assert found["framework_s_per_task"] == pytest.approx(OVERHEAD_S, rel=1e-3)
    parts = 1e-3 + found["interference_s_per_task"] + found["framework_s_per_task"]
    assert found["worker_s_per_task"] == pytest.approx(parts)


def test_three_blocks_carry_no_interval(campaign: list[Trial]) -> None:
    """A smoke test tells the order of magnitude, and that it is no more (METHOD M2)."""
    row = told([t for t in campaign if t[0].block < 3])["metg_50_s"]
    assert row.estimate
    assert (row.ci_low, row.ci_high) == (None, None)
    assert "3 blocks: no interval" in row.method


def test_what_is_never_worth_it_is_a_bound_without_an_interval() -> None:
    """The longest task measured is too short: METG lies beyond it, and nobody knows how far."""
    sizes = (10, 30, 100)
    dear = [burst(b, 500, 0.01, us / 1e6, workload="cpu") for b in range(BLOCKS) for us in sizes]
    row = told(dear)["metg_50_s"]
    assert row.estimate == pytest.approx(100e-6)
    assert (row.bound, row.ci_low) == (">", None)
    assert "efficiency is 0.0099 at most" in row.method


def test_trials_that_never_ended_leave_a_sentence_and_no_number(campaign: list[Trial]) -> None:
    """Asked, and not supported: refused, not extrapolated from what is left."""
    failed = [
        (trial, [m for m in metrics if m.metric != "makespan_s" or trial.n_planned < 1_000])
        for trial, metrics in campaign
    ]
    row = told(failed)["marginal_s_per_task"]
    assert (row.estimate, row.n_blocks) == (None, 0)
    assert "bursts of 3 sizes; 2 ended" in row.method


# Scaling. ---------------------------------------------------------------------------------------

AXIS = {"along": "workers", "held": "strong: 1 core, 600 tasks"}


def test_speed_ups_are_told_over_the_own_worker_and_over_the_inline_loop() -> None:
    """Both bases, in absolute units: the system's own single worker costs what the call does not.

    Efficiency and the serial share of Karp and Flatt follow from the former (METHOD M20).
    """
    loop = [burst(b, 600, 0.25e-3, 1e-3, **INLINE) for b in range(BLOCKS)]
    rows = told(loop + sweep((1, 2, 4)), label=CELL["label"], **AXIS, at=4.0)
    speed = 4 / (1 + SIGMA * 3 + KAPPA * 12)
    expected = {
        "speed_up": speed,
        "scaling_efficiency": speed / 4,
        "serial_share": (1 / speed - 1 / 4) / (1 - 1 / 4),
        "speed_up_over_inline": speed * 1.25,
    }
    found = {name: rows[name].estimate for name in expected}
    assert found == {name: pytest.approx(value, rel=0.02) for name, value in expected.items()}
    for row in rows.values():
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert row.estimate is not None
        assert row.ci_low < row.estimate < row.ci_high
    assert re.match(r"over \d+\.?\d* tasks/s of 1 worker; paired", rows["speed_up"].method)
    assert "tasks/s of the inline loop" in rows["speed_up_over_inline"].method


def test_a_campaign_without_the_inline_loop_says_so() -> None:
    """The second base is missing, and nothing is put in its place."""
    row = told(sweep((1, 2)), **AXIS, at=2.0)["speed_up_over_inline"]
    assert row.estimate is None
    assert row.method == "No block has both this throughput and that of the inline loop."


def test_more_workers_than_cores_are_marked() -> None:
    """A reader must see which points the machine's cores could not give."""
    rows = trends(*tables(sweep((1, 2))), "c")
    assert {(r.at, r.beyond) for r in rows if r.at} == {(1.0, ""), (2.0, "more workers than cores")}
    over = trends(*tables(sweep((1, 2), node_mode="oversubscribed")), "c")
    assert {row.beyond for row in over if row.at} == {"oversubscribed"}
    quota = trends(*tables(sweep((1, 2), node_mode="quota", throttle_ratio=0.25)), "c")
    assert {r.beyond for r in quota if r.at} == {"quota, throttled in 25% of its periods"}


def test_weak_scaling_is_another_line_with_gustafsons_share() -> None:
    """Twice the tasks for twice the workers; a trial may belong to both lines."""
    weak = [at(block, p, 300 * p) for block in range(BLOCKS) for p in (1, 2, 4)]
    strong = [at(block, p, 600) for block in range(BLOCKS) for p in (1, 4)]
    rows = told(weak + strong, along="workers", held="weak: 1 core, 300 tasks per worker", at=4.0)
    speed = 4 / (1 + SIGMA * 3 + KAPPA * 12)
    assert rows["serial_share"].estimate == pytest.approx((4 - speed) / 3, rel=0.02)
    assert "Gustafson" in rows["serial_share"].method
    both = {row.held for row in trends(*tables(weak + strong), "c")}
    assert both == {"weak: 1 core, 300 tasks per worker", "strong: 1 core, 600 tasks"}


def test_axes_are_never_mixed() -> None:
    """Workers at fixed cores, cores at one worker each: a line for each, none for both."""
    grid = [
        at(block, cores * slots, 600, cores=cores)
        for block in range(2)
        for cores in (1, 2)
        for slots in (1, 2)
    ]
    found = {(row.along, row.held, row.at) for row in trends(*tables(grid), "c") if row.at}
    assert found == {
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
def test_a_law_that_the_points_do_not_identify_is_refused_by_its_sentence(
    steps: tuple[int, ...],
) -> None:
    """No peak below the knee, and no law at all of two sizes (METHOD M21)."""
    rows = told(sweep(steps), **AXIS, at=None)
    assert (rows["peak"].estimate, rows["coherency"].estimate) == (None, None)
    if len(steps) > 2:
        assert rows["contention"].estimate == pytest.approx(SIGMA, abs=0.02)
        said = "Not identified: Amdahl's law; no retrograde scaling identified up to 8 workers"
        assert rows["peak"].method.startswith(said)
    else:
        assert rows["contention"].estimate is None
        assert rows["contention"].method == "A law needs 3 sizes; 2 were measured."


def test_kat_8_the_whole_way_from_trials_to_the_peak() -> None:
    """Workers to 32, past the knee: the peak of Gunther's law is told with its interval."""
    peak = told(sweep((1, 2, 4, 8, 16, 24, 32)), **AXIS, at=None)["peak"]
    assert peak.ci_low is not None
    assert peak.ci_high is not None
    assert peak.ci_low < 21.8 < peak.ci_high
    assert "Universal Scalability Law" in peak.method
