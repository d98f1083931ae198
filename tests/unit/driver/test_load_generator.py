"""Tests the check that the load generator followed its plan (METHOD M7)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lab.core.model import Burst, Flag, Paced, RoundTrip
from lab.validation.checker import generator_check
from lab.validation.issue import Issue
from tests.factories.simulated import Instants, journal, poisson


def sends(t0_s: Instants, call_s: float, jitter_s: float = 0.0) -> pd.DataFrame:
    """Simulate one submitter that follows a plan; a submit call takes `call_s`."""
    rng = np.random.default_rng(3)
    t1_s, free = np.empty_like(t0_s), 0.0
    for i, (instant, late) in enumerate(
        zip(t0_s, rng.uniform(0, jitter_s, len(t0_s)), strict=True)
    ):
        t1_s[i] = max(instant + late, free)
        free = t1_s[i] + call_s
    return journal(t0_s, t1_s, t1_s + call_s)


def plan(rate_hz: float, n: int, seed: int = 1) -> Instants:
    """Return the instants of a Poisson plan."""
    return poisson(np.random.default_rng(seed), rate_hz, n)


def flags(findings: list[Issue]) -> list[Flag]:
    """Return the flags of findings."""
    return [finding.flag for finding in findings]


@pytest.mark.parametrize("n", [300, 6_000])
@pytest.mark.parametrize("call_s", [1e-5, 5e-4])
def test_a_generator_that_follows_its_plan_has_no_finding(call_s: float, n: int) -> None:
    """Neither the randomness of the plan nor consecutive calls cause findings."""
    findings = [
        finding
        for seed in range(40)
        for finding in generator_check(
            sends(plan(200, n, seed), call_s, 2e-4), Paced(n, 200.0), 0.1
        )
    ]
    assert len(findings) <= 2  # of 40 tests of gaps at p 0.01
    assert all("exponential" in finding.reason for finding in findings)


def test_a_test_of_all_gaps_would_reject_a_correct_generator() -> None:
    """Therefore only gaps beyond the submitter's dead time are tested."""
    t1 = sends(plan(200, 20_000), 5e-4, 2e-4)["t1_ns"].to_numpy("int64")
    assert stats.kstest(np.diff(t1) / 1e9, "expon", args=(0, 1 / 200)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [(1.0, []), (1.01, []), (1.03, [Flag.NOISY]), (1.2, [Flag.DISTURBED]), (0.9, [Flag.DISTURBED])],
)
def test_the_rate_is_compared_with_the_plan(stretch: float, expected: list[Flag]) -> None:
    """A deviation of 2 % is noisy, of 5 % invalid; the lag is not checked here."""
    t0 = np.arange(1, 1_001) / 100
    findings = generator_check(
        journal(t0, stretch * t0, stretch * t0 + 1e-5), Paced(1_000, 100.0, "uniform"), 1e3
    )
    assert flags(findings) == expected


def test_tasks_that_were_never_sent_lower_the_rate() -> None:
    """A driver that died half way offered half of the rate."""
    findings = generator_check(sends(plan(100, 500), 1e-5), Paced(1_000, 100.0))
    assert (Flag.DISTURBED, True) in [(f.flag, "rate -50" in f.reason) for f in findings]


def test_a_busy_submitter_and_its_lag_are_reported() -> None:
    """At 45 % calls wait for each other; a long latency excuses the lag, but not the load."""
    busy = sends(np.arange(1, 2_001) / 100, 4.5e-3)
    load, lag = "the sender was 45% busy", "late at the 99th percentile"
    uniform = Paced(2_000, 100.0, "uniform")
    assert [load in f.reason for f in generator_check(busy, uniform)] == [True]
    queued = sends(plan(100, 2_000), 4.5e-3)
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0))]
    assert [name in reason for name, reason in zip((load, lag), reasons, strict=True)] == [True] * 2
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0), 10.0)]
    assert [load in reason for reason in reasons] == [True]


def test_the_load_of_several_submitters_is_that_of_each() -> None:
    """Calls of 9 ms at 100 a second take 90 % of one driver's time, and 22 % of that of four."""
    t0 = np.arange(1, 2_001) / 100
    shared = journal(t0, t0, t0 + 9e-3)
    uniform = Paced(2_000, 100.0, "uniform")
    assert ["90% busy" in f.reason for f in generator_check(shared, uniform)] == [True]
    assert generator_check(shared, uniform, drivers=4) == []


def test_gaps_that_are_not_exponential_are_reported() -> None:
    """Uniform gaps fail the test of a Poisson plan, and pass the test of a uniform plan."""
    even = sends(np.arange(1, 2_001) / 100, 1e-5)
    findings = generator_check(even, Paced(2_000, 100.0))
    assert flags(findings) == [Flag.NOISY]
    assert "not exponential" in findings[0].reason
    assert generator_check(even, Paced(2_000, 100.0, "uniform")) == []


@pytest.mark.parametrize("arrival", [Burst(9), RoundTrip(9), Paced(9, 1.0)])
def test_without_a_plan_or_a_send_there_is_no_finding(
    arrival: Burst | RoundTrip | Paced,
) -> None:
    """Bursts and round trips have no plan; an empty window has no sends."""
    window = sends(plan(1, 9), 0.5, 0.5)
    empty = isinstance(arrival, Paced)
    assert generator_check(window[:0] if empty else window, arrival) == []


def test_no_reason_contains_a_semicolon() -> None:
    """Semicolons separate the reasons in the trial's row."""
    sent = plan(1, 99)
    findings = generator_check(journal(plan(10, 99), sent, sent + 0.5), Paced(99, 10.0))
    assert len(findings) > 1
    assert not [finding for finding in findings if ";" in finding.reason]
