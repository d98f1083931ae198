"""Tests intervals over trials, percentiles with floors, ratios and shares."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.analysis.statistics import (
    Comparison,
    RefusedError,
    compare,
    holm,
    interval,
    inverse_cdf,
    paired_p_value,
    paired_ratio,
    percentile,
    proportion,
    sample_floor,
    unstable,
)
from lab.core.model import Estimate

durations = st.floats(1e-6, 1e3)


def ratio(low: float | None, high: float | None) -> Estimate:
    """Return a ratio with an interval; its value does not matter."""
    return Estimate(1.0, low, high, 0.95, 10, "")


@given(st.lists(durations, min_size=5, max_size=30))
def test_interval_of_positive_values_is_the_t_interval_of_their_logarithms(
    values: list[float],
) -> None:
    """The interval is exp of scipy's interval for the mean of the logarithms."""
    estimate = interval(values)
    logs = np.log(values)
    error = stats.sem(logs)
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), error) if error else (None,) * 2
    assert estimate.value == pytest.approx(stats.gmean(values))
    if low is not None and high is not None:
        assert (estimate.low, estimate.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert "logarithms" in estimate.method


@given(durations, st.lists(durations, min_size=5, max_size=9))
def test_interval_does_not_depend_on_the_unit(scale: float, values: list[float]) -> None:
    """The interval in nanoseconds is the scaled interval in seconds."""
    one, other = interval(values), interval([scale * value for value in values])
    expected = [scale * end for end in (one.value, one.low, one.high) if end is not None]
    assert [other.value, other.low, other.high] == pytest.approx(expected)


def test_interval_needs_five_trials() -> None:
    """Four trials yield a mean and the reason for no interval; five yield an interval."""
    few = interval([1.0, 2.0, 4.0, 8.0])
    assert few.value == pytest.approx(math.sqrt(8))
    assert (few.low, few.high) == (None, None)
    assert "4 trials: no interval (needs 5)" in few.method
    assert interval([1.0, 2.0, 4.0, 8.0, 16.0]).low is not None
    assert interval([3.0]).value == pytest.approx(3.0)


@pytest.mark.parametrize("odd", [0.0, -1.0])
def test_interval_with_a_value_that_has_no_logarithm_is_arithmetic(odd: float) -> None:
    """With a value of zero or less the interval is of the values, and the method states it."""
    values = [odd, 1.0, 2.0, 3.0, 4.0]
    estimate = interval(values, 0.9)
    low, high = stats.t.interval(0.9, 4, np.mean(values), stats.sem(values))
    assert estimate.value == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert "arithmetic" in estimate.method


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_interval_of_no_values_or_of_nan_is_refused(values: list[float]) -> None:
    """A missing value never counts as a number."""
    with pytest.raises(RefusedError, match="No mean of"):
        interval(values)


def test_paired_ratio_removes_the_drift_of_blocks() -> None:
    """A drift of the machine, however large, does not change the ratio."""
    drift = np.array([1.0, 2.0, 5.0, 0.1, 3.0, 7.0])
    estimate = paired_ratio(list(1.5 * drift), list(drift))
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([1.5, 1.5, 1.5])
    assert "6 blocks" in estimate.method


@given(st.lists(st.tuples(durations, durations), min_size=5, max_size=12))
def test_paired_ratio_of_swapped_sides_is_the_reciprocal(pairs: list[tuple[float, float]]) -> None:
    """The order of the sides does not matter."""
    a, b = ([pair[side] for pair in pairs] for side in (0, 1))
    one, other = paired_ratio(a, b), paired_ratio(b, a)
    assert one.low is not None
    assert other.high is not None
    assert [one.value, one.low] == pytest.approx([1 / other.value, 1 / other.high])


def test_paired_ratio_refuses_values_that_are_not_positive_pairs() -> None:
    """Zero has no ratio, and lists of different lengths have no pairs."""
    with pytest.raises(RefusedError, match="value 0"):
        paired_ratio([1.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("low", "high", "of_time", "of_rate"),
    [
        (0.96, 1.04, Comparison.SAME, Comparison.SAME),
        (1.01, 1.04, Comparison.SAME, Comparison.SAME),
        (0.94, 1.02, Comparison.INCONCLUSIVE, Comparison.INCONCLUSIVE),
        (0.50, 2.00, Comparison.INCONCLUSIVE, Comparison.INCONCLUSIVE),
        (0.80, 0.94, Comparison.FASTER, Comparison.SLOWER),
        (1.01, 1.06, Comparison.SLOWER, Comparison.FASTER),
        (None, None, Comparison.INCONCLUSIVE, Comparison.INCONCLUSIVE),
    ],
)
def test_compare_follows_the_interval(
    low: float | None, high: float | None, of_time: Comparison, of_rate: Comparison
) -> None:
    """Equal if inside the margin, better or worse if it does not contain 1, else inconclusive."""
    assert compare(ratio(low, high)) is of_time
    assert compare(ratio(low, high), "higher") is of_rate


def test_holm_has_the_textbook_values() -> None:
    """The adjusted values ascend, and are at most 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_paired_p_value_agrees_with_the_interval() -> None:
    """P is below 0.05 if and only if the 95 % interval does not contain 1."""
    rng = np.random.default_rng(1)
    sides = set()
    for shift in np.linspace(0, 0.2, 60):
        a, b = np.exp(rng.normal(shift, 0.1, 8)).tolist(), np.exp(rng.normal(0, 0.1, 8)).tolist()
        estimate = paired_ratio(a, b)
        assert estimate.low is not None
        assert estimate.high is not None
        significant = paired_p_value(a, b) < 0.05
        assert significant == (not estimate.low <= 1 <= estimate.high)
        sides.add(significant)
    assert sides == {True, False}
    assert paired_p_value([1.0, 1.0], [1.0, 1.0]) == 1.0


@pytest.mark.parametrize(
    ("q", "floor"), [(50, 11), (90, 64), (95, 130), (99, 662), (99.9, 6_636), (99.99, 66_381)]
)
def test_sample_floor_is_that_of_mlperf(q: float, floor: int) -> None:
    """The binomial formula yields the floors of METHOD M11."""
    assert sample_floor(q) == floor


@given(st.floats(1, 99.9), st.integers(0, 40))
def test_percentile_below_its_floor_is_refused_with_both_counts(q: float, short: int) -> None:
    """One task too few is refused; censored tasks count."""
    floor = sample_floor(q)
    censored = min(short, floor - 1)
    with pytest.raises(RefusedError, match=f"needs {floor} tasks .* there are {floor - 1}"):
        percentile(np.ones(floor - 1 - censored), q, np.ones(censored))
    assert percentile(np.ones(floor - censored), q, np.ones(censored)).n == floor


@given(st.lists(durations, min_size=130, max_size=400), st.sampled_from([1, 25, 50, 90, 95]))
def test_percentile_without_censoring_is_the_inverse_empirical_cdf(
    values: list[float], q: int
) -> None:
    """The result is that of numpy's method `inverted_cdf`."""
    value = percentile(values, q)
    assert value.value == np.percentile(values, q, method="inverted_cdf")
    assert (value.bound, value.n) == ("", len(values))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=11, max_size=60),
    st.integers(0, 60),
    st.sampled_from([25, 50]),
)
def test_percentile_with_censoring_is_consistent_with_the_true_values(
    pairs: list[tuple[int, int]], n_censored: int, q: int
) -> None:
    """For all true values of censored tasks, an exact result is right and a bound is a bound."""
    values = np.array([float(value) for value, _ in pairs])
    more = np.array([float(extra) for _, extra in pairs])
    known, bounds = values[n_censored:], values[:n_censored]
    censored = percentile(known, q, bounds)
    truth = percentile(np.concatenate([known, (values + more)[:n_censored]]), q)
    assert censored.n == len(pairs)
    assert censored.value <= truth.value
    assert censored.bound == ">" or censored.value == truth.value


def test_percentile_among_censored_tasks_is_a_lower_bound() -> None:
    """With a third unfinished the median is known and the 90th percentile is only ">x"."""
    known, bounds = np.arange(100.0), np.full(50, 1e3)
    median, tail = percentile(known, 50, bounds), percentile(known, 90, bounds)
    assert (median.value, median.bound) == (74.0, "")
    assert (tail.value, tail.bound) == (1e3, ">")
    assert "50 of 150 unfinished" in tail.method


@pytest.mark.parametrize("q", [0, 100, -1])
def test_percentile_outside_0_to_100_is_refused(q: float) -> None:
    """The minimum and the maximum are not percentiles."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        percentile([1.0] * 100, q)


@pytest.mark.parametrize("n", [10, 1_000, 100_000])
def test_proportion_of_none_has_the_bound_of_the_method(n: int) -> None:
    """0 of n is below 1 - 0.025^(1/n), which is about 3.69 / n (METHOD M28)."""
    share = proportion(0, n)
    assert (share.value, share.low) == (0.0, 0.0)
    assert share.high == pytest.approx(1 - 0.025 ** (1 / n))
    assert f"0 of {n}" in share.method


def test_proportion_has_the_binomial_tails() -> None:
    """At the ends of the interval, k or more and k or fewer each have 2.5 % (Clopper-Pearson)."""
    share = proportion(7, 50)
    assert stats.binom.sf(6, 50, share.low) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 50, share.high) == pytest.approx(0.025)
    with pytest.raises(RefusedError, match="needs at least one task"):
        proportion(0, 0)


@given(st.lists(durations, min_size=1), st.sampled_from([1, 7, 50, 90, 99, 99.9]))
def test_the_inverse_cdf_is_the_smallest_value_that_covers_the_share(
    values: list[float], q: float
) -> None:
    """At least q % of the values are at most the result, and fewer are below it; by counting."""
    result = inverse_cdf(values, q)
    assert result in values
    share = Fraction(str(q)) / 100 * len(values)
    assert sum(value <= result for value in values) >= share
    assert sum(value < result for value in values) < share


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1.0, 1.0], False),
        ([0.91, 1.0, 1.09], False),
        ([0.89, 1.0, 1.11], True),
        ([5.0], False),
        ([-1.0, 1.0], True),
    ],
)
def test_unstable_means_more_than_ten_percent_between_trials(
    values: list[float], *, expected: bool
) -> None:
    """The coefficient of variation is compared with 10 %."""
    assert unstable(values) is expected
