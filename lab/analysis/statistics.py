"""Computes estimates with intervals, and refuses samples that are too small.

All functions are pure. The trial is the unit of inference (METHOD M9): `interval`, `paired_ratio`
and `unstable` take one number per trial; `percentile` takes the tasks of one trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from lab.core.errors import NothingSelectedError
from lab.core.model import Estimate

Numbers = NDArray[np.float64]
Seconds = NDArray[np.float64]
# Fewer trials are a smoke test, whose results have no interval (METHOD M2).
INTERVAL_FLOOR = 5
# MLPerf early stopping (METHOD M11): confidence, and number of samples that may exceed the result.
FLOOR_CONFIDENCE = 0.99
FLOOR_TOLERATED = 1
# A ratio within these bounds is no material difference (METHOD M12).
EQUIVALENCE = (0.95, 1.05)
# Confidence level of every interval (METHOD M9).
LEVEL = 0.95
# Largest instrumentation overhead for throughput of recorded trials: point, upper end (METHOD M19).
SMALL_OVERHEAD, LARGEST_OVERHEAD = 0.02, 0.05
# A warning about the spread, not a filter: no value is dropped (METHOD M9, M12).
UNSTABLE_CV = 0.10


class RefusedError(NothingSelectedError):
    """A requested number that the sample cannot support."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number of one trial.

    bound: ``">"`` if unfinished tasks make the value a lower bound, else empty.
    n: number of tasks that it was computed from.
    method: description of the computation.
    """

    value: float
    bound: str
    n: int
    method: str


class Comparison(StrEnum):
    """The result of a comparison of two backends: the first one against the second one."""

    SAME = "no material difference"
    FASTER = "faster"
    SLOWER = "slower"
    INCONCLUSIVE = "inconclusive"


def interval(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """Estimate the mean over trials with a t interval, on logarithms if all values are positive.

    Positive values (METHOD M9): ``exp(mean(ln y) +- t * s / sqrt(n))``, a geometric mean. If a
    value is zero or negative: the arithmetic mean, with a t interval of the values. `method` states
    which. Fewer than `INTERVAL_FLOOR` values yield a mean without an interval.

    Raises:
        RefusedError: There is no value, or a value is not finite.
    """
    sample = np.asarray(values, dtype=float)
    if not sample.size or not np.isfinite(sample).all():
        raise RefusedError(f"No mean of {sample.size} values: one or more, all finite, are needed.")
    positive = bool((sample > 0).all())
    mean, low, high = _t_interval(np.log(sample) if positive else sample, level)
    name = "geometric mean" if positive else "arithmetic mean (a value is not positive)"
    if positive:
        mean, low, high = math.exp(mean), math.exp(low), math.exp(high)
    n = int(sample.size)
    if n < INTERVAL_FLOOR:
        method = f"{name}; {n} trials: no interval (needs {INTERVAL_FLOOR})"
        return Estimate(mean, None, None, level, n, method)
    scale = "logarithms" if positive else "values"
    return Estimate(mean, low, high, level, n, f"{name}; t interval on {scale} of {n} trials")


def _t_interval(sample: np.ndarray, level: float) -> tuple[float, float, float]:
    mean, n = float(sample.mean()), sample.size
    # t has no quantile for 0 degrees of freedom.
    if n == 1:
        return mean, mean, mean
    half = _t_quantile((1 + level) / 2, n - 1) * float(sample.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def too_few(n_blocks: int) -> str:
    """Return how many blocks there are, and how many an interval needs."""
    return f"{n_blocks} of the {INTERVAL_FLOOR} blocks that it needs"


@cache  # most estimates of a campaign are over equally many trials
def _t_quantile(q: float, freedom: int) -> float:
    return float(scipy.stats.t.ppf(q, freedom))


def paired_ratio(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Estimate:
    """Estimate the ratio a / b from pairs; the i-th values of both are from the same block.

    ``exp(mean d +- t s / sqrt(B))`` with ``d = ln(a / b)`` of each block (METHOD M12). Pairing
    removes the drift of the machine, which both values of a block share.

    Raises:
        RefusedError: A value is not positive and finite, or there is no pair.
        ValueError: The two sequences differ in length.
    """
    ratios = np.exp(_log_ratios(a, b))
    estimate = interval(ratios.tolist(), level)
    method = estimate.method.replace("trials", "blocks").replace("geometric mean", "paired ratio")
    return replace(estimate, method=method)


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p of the paired t test on log-ratios, for `holm`.

    Raises:
        RefusedError: A value is not positive and finite, or there are fewer than two pairs.
        ValueError: The two sequences differ in length.
    """
    logs = _log_ratios(a, b)
    if logs.size < 2:  # noqa: PLR2004 (a spread needs two)
        raise RefusedError(f"A test needs at least 2 pairs; there are {logs.size}.")
    # Without any spread t is 0 / 0 or infinite: scipy returns nan for the former, and warns.
    if not logs.std():
        return 1.0 if logs[0] == 0 else 0.0
    return float(scipy.stats.ttest_1samp(logs, 0.0).pvalue)


def _log_ratios(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    pairs = np.array(list(zip(a, b, strict=True)), dtype=float).reshape(-1, 2)
    usable = np.isfinite(pairs) & (pairs > 0)
    if not usable.all():
        wrong = pairs[~usable][0]
        raise RefusedError(
            f"No ratio with the value {wrong:g}: both values of a pair must be positive."
        )
    return np.asarray(np.log(pairs[:, 0]) - np.log(pairs[:, 1]))


def compare(ratio: Estimate, better: str = "lower") -> Comparison:
    """Classify a ratio a / b; `better` is ``"lower"`` or ``"higher"``.

    "No material difference" if the whole interval is in `EQUIVALENCE` (METHOD M12); faster or
    slower if the whole interval is on one side of 1; else inconclusive.
    """
    if ratio.low is None or ratio.high is None:
        return Comparison.INCONCLUSIVE
    # Before the test against 1, because an interval within the margin may exclude 1.
    if ratio.low >= EQUIVALENCE[0] and ratio.high <= EQUIVALENCE[1]:
        return Comparison.SAME
    if ratio.low <= 1 <= ratio.high:
        return Comparison.INCONCLUSIVE
    return Comparison.FASTER if (ratio.high < 1) == (better == "lower") else Comparison.SLOWER


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of comparisons by Holm's step-down rule, in their order.

    The k-th smallest of m is multiplied by m - k + 1; results are ascending and at most 1 (Holm
    1979).
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    stepped = p[order] * np.arange(p.size, 0, -1)
    # The running maximum: a larger p must not have a smaller adjusted p.
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(value) for value in adjusted]


@cache
def sample_floor(q: float) -> int:
    """Return the smallest number of samples for which percentile `q` (0 < q < 100) is reported.

    The smallest n with ``BinomCDF(t; n, 1 - q/100) <= 1 - c``, t = 1, c = 0.99 (METHOD M11;
    MLPerf Inference, "Early Stopping Criterion"): 662 for q = 99.

    Raises:
        ValueError: `q` is not between 0 and 100.
    """
    if not 0 < q < 100:  # noqa: PLR2004 (percent)
        raise ValueError(f"A percentile must be between 0 and 100; it is {q}.")
    # Exact up to here, because 1 - 99.9 / 100 in floating point is not 0.001.
    above = float(1 - Fraction(str(q)) / 100)

    def enough(n: int) -> bool:
        return bool(scipy.stats.binom.cdf(FLOOR_TOLERATED, n, above) <= 1 - FLOOR_CONFIDENCE)

    # The tail falls as n grows, so a bisection finds n; p99.9 would take 6,636 steps of one.
    high = FLOOR_TOLERATED + 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def inverse_cdf(values: ArrayLike, q: float) -> float:
    """Return percentile `q` by the inverse empirical CDF: the value of rank ``ceil(n q / 100)``.

    For tasks, `percentile` refuses small samples; the generator's lag has a number in any sample.

    Raises:
        ValueError: There is no value.
    """
    sample = np.asarray(values, dtype=float)
    rank = _rank(sample.size, q)
    # Linear in the number of tasks; a sort is not, and one trial has many percentiles.
    return float(np.partition(sample, rank)[rank])


def _rank(n: int, q: float) -> int:
    # Exact, because in floating point 0.07 * 100 is more than 7.
    return math.ceil(n * Fraction(str(q)) / 100) - 1


def percentile(values: ArrayLike, q: float, censored: ArrayLike = ()) -> Value:
    """Return percentile `q` of one trial's tasks by the inverse empirical CDF (METHOD M11).

    Args:
        values: Observed values, one per task.
        q: Percent, 0 < q < 100.
        censored: The lower bounds of the other tasks, whose values are only known to be larger.

    Returns:
        The value of rank ``ceil(n q / 100)`` among all n tasks. If that rank is a censored task, or
        depends on the unknown value of one, it is the smallest possible value, with bound ``">"``.

    Raises:
        RefusedError: There are fewer tasks than `sample_floor`.
    """
    observed, bounds = np.asarray(values, dtype=float), np.asarray(censored, dtype=float)
    n, floor = observed.size + bounds.size, sample_floor(q)
    if n < floor:
        raise RefusedError(f"p{q:g} needs {floor} tasks (METHOD M11); there are {n}.")
    method = f"p{q:g} by inverse empirical CDF"
    least = inverse_cdf(np.concatenate([observed, bounds]), q)
    if not bounds.size:
        return Value(least, "", n, method)
    method += f"; {bounds.size} of {n} unfinished"
    rank = _rank(n, q)
    # With infinite values for the censored tasks the rank has the same value: then it is known.
    known = rank < observed.size and float(np.partition(observed, rank)[rank]) == least
    return Value(least, "" if known else ">", n, method)


@cache  # each end is the root of an equation, and most shares are 0 of the same n
def proportion(k: int, n: int, level: float = LEVEL) -> Estimate:
    """Estimate the share k / n with the two-sided Clopper-Pearson interval.

    0 of n has the upper bound 3.69 / n at level 0.95 (METHOD M28).

    Raises:
        RefusedError: `n` is 0.
        ValueError: `k` is negative or above `n`.
    """
    if n == 0:
        raise RefusedError("A share needs at least one task; there are 0.")
    exact = scipy.stats.binomtest(k, n).proportion_ci(level, method="exact")
    method = f"{k} of {n}; Clopper-Pearson, two-sided"
    return Estimate(k / n, float(exact.low), float(exact.high), level, n, method)


def variation(values: Sequence[float]) -> float:
    """Return the coefficient of variation, sd / |mean|; 0 for fewer than two values."""
    sample = np.asarray(values, dtype=float)
    if sample.size < 2 or not sample.std():  # noqa: PLR2004 (a spread needs two)
        return 0.0
    mean = abs(float(sample.mean()))
    return float(sample.std(ddof=1)) / mean if mean else math.inf


def unstable(values: Sequence[float]) -> bool:
    """Return whether the coefficient of variation is above 10 % (METHOD M23, as pyperf)."""
    return variation(values) > UNSTABLE_CV
