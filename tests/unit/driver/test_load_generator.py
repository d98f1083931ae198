"""The generator's self-check: it kept its plan, or the trial says that it did not (METHOD M7)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lab.core.model import Burst, Flag, Paced, RoundTrip
from lab.validation.checker import Finding, generator_check
from tests.factories.simulated import Instants, journal, poisson


def sends(t0_s: Instants, call_s: float, jitter_s: float = 0.0) -> pd.DataFrame:
    """Simulate one submitter that keeps a plan as well as it can: a call lasts `call_s`."""
    rng = np.random.default_rng(3)
    t1_s, free = np.empty_like(t0_s), 0.0
    for i, (instant, late) in enumerate(
        zip(t0_s, rng.uniform(0, jitter_s, len(t0_s)), strict=True)
    ):
        t1_s[i] = max(instant + late, free)
        free = t1_s[i] + call_s
    return journal(t0_s, t1_s, t1_s + call_s)


def plan(rate_hz: float, n: int, seed: int = 1) -> Instants:
    """Make the instants of a Poisson plan."""
    return poisson(np.random.default_rng(seed), rate_hz, n)


def flags(findings: list[Finding]) -> list[Flag]:
    """The flags alone."""
    return [finding.flag for finding in findings]


@pytest.mark.parametrize("n", [300, 6_000])
@pytest.mark.parametrize("call_s", [1e-5, 5e-4])
def test_a_generator_that_keeps_its_plan_is_not_accused(call_s: float, n: int) -> None:
    """Neither the chance in the plan nor calls that follow each other count against it."""
    accused = [
        finding
        for seed in range(40)
        for finding in generator_check(
            sends(plan(200, n, seed), call_s, 2e-4), Paced(n, 200.0), 0.1
        )
    ]
    assert len(accused) <= 2  # of 40 tests of gaps at p 0.01
    assert all("exponential" in finding.reason for finding in accused)


def test_the_submitter_s_short_gaps_are_why_gaps_are_tested_beyond_its_dead_time() -> None:
    """The plain test of all gaps would accuse the sound generator above."""
    t1 = sends(plan(200, 20_000), 5e-4, 2e-4)["t1_ns"].to_numpy("int64")
    assert stats.kstest(np.diff(t1) / 1e9, "expon", args=(0, 1 / 200)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [(1.0, []), (1.01, []), (1.03, [Flag.NOISY]), (1.2, [Flag.INVALID]), (0.9, [Flag.INVALID])],
)
def test_the_rate_is_held_against_the_plan(stretch: float, expected: list[Flag]) -> None:
    """2 % off is noisy, 5 % is invalid; the lag that goes with it is not judged here."""
    t0 = np.arange(1, 1_001) / 100
    found = generator_check(
        journal(t0, stretch * t0, stretch * t0 + 1e-5), Paced(1_000, 100.0, "uniform"), 1e3
    )
    assert flags(found) == expected


def test_tasks_never_sent_make_the_rate_wrong() -> None:
    """A driver that died half way offered half the rate."""
    found = generator_check(sends(plan(100, 500), 1e-5), Paced(1_000, 100.0))
    assert (Flag.INVALID, True) in [(f.flag, "rate -50" in f.reason) for f in found]


def test_a_busy_submitter_and_its_lag_are_told() -> None:
    """At 45 % a call queues behind another; a long latency forgives the lag, not the load."""
    busy = sends(np.arange(1, 2_001) / 100, 4.5e-3)
    load, lag = "submitter 45% busy", "p99 lag"
    uniform = Paced(2_000, 100.0, "uniform")
    assert [load in f.reason for f in generator_check(busy, uniform)] == [True]
    queued = sends(plan(100, 2_000), 4.5e-3)
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0))]
    assert [name in reason for name, reason in zip((load, lag), reasons, strict=True)] == [True] * 2
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0), 10.0)]
    assert [load in reason for reason in reasons] == [True]


def test_sends_that_are_not_poisson_are_told() -> None:
    """Even gaps under a plan that says Poisson fail the test; under one that says even, not."""
    even = sends(np.arange(1, 2_001) / 100, 1e-5)
    found = generator_check(even, Paced(2_000, 100.0))
    assert flags(found) == [Flag.NOISY]
    assert "not exponential" in found[0].reason
    assert generator_check(even, Paced(2_000, 100.0, "uniform")) == []


@pytest.mark.parametrize("arrival", [Burst(9), RoundTrip(9), Paced(9, 1.0)])
def test_without_a_plan_or_a_send_there_is_nothing_to_find(
    arrival: Burst | RoundTrip | Paced,
) -> None:
    """Bursts and round trips have no plan; an empty window has no sends."""
    window = sends(plan(1, 9), 0.5, 0.5)
    empty = isinstance(arrival, Paced)
    assert generator_check(window[:0] if empty else window, arrival) == []


def test_no_reason_breaks_the_list_of_reasons() -> None:
    """Reasons are joined by semicolons in the trial's row, so none may hold one."""
    sent = plan(1, 99)
    found = generator_check(journal(plan(10, 99), sent, sent + 0.5), Paced(99, 10.0))
    assert len(found) > 1
    assert not [finding for finding in found if ";" in finding.reason]
