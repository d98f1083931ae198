"""Tests the search for the sustainable rate on simulated systems of known speed (METHOD M8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.analysis.capacity import HIGHEST_RATE_HZ, Capacity, ProbeResult, next_rate
from lab.planning.presets import LOAD_SWEEPS, LoadSweep

STANDARD = LOAD_SWEEPS["standard"]


def search(
    saturation_hz: float, probe: Callable[[float, int], ProbeResult], sweep: LoadSweep = STANDARD
) -> Capacity:
    """Search to the end; `probe` takes the rate and the number of earlier probes at it."""
    known = Capacity(saturation_hz)
    while (rate := next_rate(known, sweep)) is not None:
        result = probe(rate, len(known.at(rate)))
        known = replace(known, results=[*known.results, result])
        assert len(known.results) <= sweep.repeats * sweep.most_rates
    return known


def below(speed_hz: float) -> Callable[[float, int], ProbeResult]:
    """Return the probe of a system that sustains every rate up to its speed."""
    return lambda rate, _: ProbeResult(rate, is_sustained=rate <= speed_hz)


@pytest.mark.parametrize("speed", [0.3, 0.55, 0.7, 0.93, 1.05])
def test_bisection_brackets_the_speed(speed: float) -> None:
    """The sustained and the failed rate enclose the speed, for any error of the saturation."""
    known = search(1_000.0, below(1_000 * speed))
    assert known.sustained_hz is not None
    assert known.failed_hz is not None
    assert known.sustained_hz <= 1_000 * speed < known.failed_hz
    assert known.failed_hz / known.sustained_hz < 1.1
    assert known.bound == ""


def test_the_majority_of_three_probes_decides_and_the_third_runs_only_if_two_disagree() -> None:
    """One disturbed probe does not change the result."""
    spoiled = search(
        1_000.0, lambda rate, n: ProbeResult(rate, is_sustained=rate <= 700 and n != 0)
    )
    plain = search(1_000.0, below(700))
    assert (spoiled.sustained_hz, spoiled.failed_hz) == (plain.sustained_hz, plain.failed_hz)
    assert {len(plain.at(rate)) for rate in plain.rates} == {2}
    assert {len(spoiled.at(rate)) for rate in spoiled.rates if rate <= 700} == {3}


def test_invalid_probes_are_repeated_and_never_count_as_sustained() -> None:
    """If all probes of a rate were disturbed, the rate is not sustained."""
    once = search(1_000.0, lambda rate, n: ProbeResult(rate, None if n == 0 else rate <= 700))
    assert once.sustained_hz == search(1_000.0, below(700)).sustained_hz
    never = search(1_000.0, lambda rate, _: ProbeResult(rate, None))
    assert never.sustained_hz is None


def test_a_rate_above_the_limit_of_the_generator_gives_a_bound_and_no_failure() -> None:
    """The capacity is then larger than the sustained rate."""
    limited = search(
        1_000.0, lambda rate, _: ProbeResult(rate, is_sustained=rate <= 700, is_limited=rate > 700)
    )
    assert limited.bound == ">"
    assert limited.sustained_hz is not None
    assert 600 < limited.sustained_hz <= 700


def test_a_saturation_above_the_highest_rate_is_probed_at_the_highest_rate_first() -> None:
    """A pool with 100,000 tasks per second gets two probes, and its capacity is a bound."""
    fast = search(100_000.0, below(100_000))
    assert [result.rate_hz for result in fast.results] == [HIGHEST_RATE_HZ] * 2
    assert (fast.sustained_hz, fast.bound) == (HIGHEST_RATE_HZ, ">")


def test_without_a_burst_there_is_no_search() -> None:
    """A backend whose burst failed is not probed."""
    assert next_rate(Capacity(None), STANDARD) is None


def test_a_quick_search_has_three_probes() -> None:
    """It probes three rates once each."""
    known = search(1_000.0, below(700), LOAD_SWEEPS["quick"])
    assert len(known.results) == 3
    assert known.sustained_hz is not None
