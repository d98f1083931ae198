"""Computes speed-up and efficiency, and fits scaling laws (METHOD M20, M21).

The functions are pure; a point is (workers, tasks/s) of one trial. Sources: Amdahl 1967; Karp and
Flatt, CACM 1990; Gunther's Universal Scalability Law,
``X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from lab.analysis.statistics import LEVEL, Numbers, RefusedError

# With fewer sizes, or no clear gain over Amdahl's law, the retrograde term is not identified (M21).
SIZES_FLOOR = 6
AICC_GAIN = 10.0
RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A fitted number with its 95 % interval, from resampled trials."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted scaling law.

    rate: lambda, tasks/s of one worker.
    contention: sigma, the serial share.
    coherency: kappa, the cost of workers that wait for each other; None under Amdahl's law.
    peak: number of workers with the highest rate; None if the data show no peak.
    about: name of the law and its peak, as text.
    """

    rate: Coefficient
    contention: Coefficient
    coherency: Coefficient | None
    peak: Coefficient | None
    about: str


def speed_up(rate: float, base: float) -> float:
    """Return ``S = X(p) / X(base)``; METHOD M20 lists the bases."""
    return rate / base


def efficiency(rate: float, base: float, multiple: float) -> float:
    """Return ``E = S / p``; p is the number of workers divided by that of the base."""
    return speed_up(rate, base) / multiple


def karp_flatt(speed: float, multiple: float) -> float:
    """Return the experimentally determined serial share, ``(1/S - 1/p) / (1 - 1/p)``.

    It rises with p if overhead grows, and is constant if a serial part is the cause.

    Raises:
        RefusedError: `multiple` is not above 1.
    """
    _require_growth(multiple)
    return (1 / speed - 1 / multiple) / (1 - 1 / multiple)


def gustafson(speed: float, multiple: float) -> float:
    """Return the serial share f of weak scaling, where work grows as well: ``S = p - f (p - 1)``.

    Raises:
        RefusedError: `multiple` is not above 1.
    """
    _require_growth(multiple)
    return (multiple - speed) / (multiple - 1)


def _require_growth(multiple: float) -> None:
    if multiple <= 1:
        raise RefusedError("A serial share needs more workers than the base has.")


def usl(workers: Numbers, rate: float, contention: float, coherency: float) -> Numbers:
    """Return the rates of the Universal Scalability Law; coherency 0 is Amdahl's law."""
    waiting = contention * (workers - 1) + coherency * workers * (workers - 1)
    return np.asarray(rate * workers / (1 + waiting))


def amdahl(workers: Numbers, rate: float, contention: float) -> Numbers:
    """Return the rates of Amdahl's law; `contention` is the serial share."""
    return usl(workers, rate, contention, 0.0)


def fit(
    workers: Sequence[float], rates: Sequence[float], of: str = "workers", seed: int = 1
) -> Law:
    """Fit Amdahl's law, or the Universal Scalability Law if the points identify it.

    They identify it if there are at least `SIZES_FLOOR` sizes, one of them beyond the peak, its
    AICc is lower than that of Amdahl's law by more than `AICC_GAIN`, and the interval of kappa
    does not contain 0.

    Args:
        workers: Number of workers of each trial.
        rates: Tasks per second of each trial, all positive.
        of: Name of the varied quantity, for the text.
        seed: Seed of the resampling.

    Raises:
        RefusedError: There are fewer than three sizes, and two coefficients fit any two.
    """
    n, x = np.asarray(workers, dtype=float), np.asarray(rates, dtype=float)
    sizes = np.unique(n)
    if sizes.size < 3:  # noqa: PLR2004 (two coefficients)
        raise RefusedError(f"A law needs 3 sizes; {sizes.size} were measured.")
    simple, full = _fit(amdahl, n, x), _fit(usl, n, x)
    gain = _aicc(amdahl, simple, n, x) - _aicc(usl, full, n, x)
    # A peak beyond the measured sizes is an extrapolation: KAT-8 requires that none is claimed.
    has_peak = sizes.size >= SIZES_FLOOR and _peak(full) < sizes[-1]
    if has_peak and gain > AICC_GAIN and (law := _retrograde(full, n, x, of, seed)):
        return law
    resampled = _resample(amdahl, n, x, seed)
    rate, contention = (_coefficient(simple[i], resampled[:, i]) for i in (0, 1))
    few = f"; a retrograde term needs {SIZES_FLOOR}" if sizes.size < SIZES_FLOOR else ""
    about = f"Amdahl's law; no retrograde scaling identified up to {sizes[-1]:.0f} {of}"
    return Law(rate, contention, None, None, f"{about} ({sizes.size} sizes{few})")


def _retrograde(full: Numbers, n: Numbers, x: Numbers, of: str, seed: int) -> Law | None:
    """Return the Universal Scalability Law; None if the interval of kappa contains 0."""
    resampled = _resample(usl, n, x, seed)
    rate, contention, coherency = (_coefficient(full[i], resampled[:, i]) for i in range(3))
    if coherency.low <= 0:
        return None
    peak = _coefficient(_peak(full), np.array([_peak(coefficients) for coefficients in resampled]))
    about = f"Universal Scalability Law; most tasks/s at {peak.value:.1f} {of}"
    return Law(rate, contention, coherency, peak, about)


def _peak(coefficients: Numbers) -> float:
    """Return ``N* = sqrt((1 - sigma) / kappa)``."""
    _, contention, coherency = coefficients
    return math.sqrt((1 - contention) / coherency) if coherency > 0 else math.inf


def _fit(law: Callable[..., Numbers], n: Numbers, x: Numbers) -> Numbers:
    """Fit with relative weights, because the scatter of a rate is proportional to it."""
    # The best rate of one worker is near lambda; small shares begin near linear scaling.
    begin = [float((x / n).max()), 0.05, 0.001][: law.__code__.co_argcount - 1]
    upper = [np.inf, 1.0, 1.0][: len(begin)]
    with warnings.catch_warnings():
        # The covariance is not used: intervals come from resampling.
        warnings.filterwarnings(
            "ignore", "Covariance of the parameters", scipy.optimize.OptimizeWarning
        )
        bounds = ([0.0] * len(begin), upper)
        coefficients, _ = scipy.optimize.curve_fit(law, n, x, begin, sigma=x, bounds=bounds)
    return np.asarray(coefficients)


def _aicc(law: Callable[..., Numbers], coefficients: Numbers, n: Numbers, x: Numbers) -> float:
    """Return Akaike's criterion with the correction for small samples, on relative residuals."""
    # One more than the coefficients, because the variance of the residuals is estimated too.
    count, k = n.size, coefficients.size + 1
    residual = float((((law(n, *coefficients) - x) / x) ** 2).sum())
    # The correction divides by count - k - 1; a perfect fit has no logarithm.
    if count <= k + 1 or residual <= 0:
        return math.inf if residual > 0 else -math.inf
    return count * math.log(residual / count) + 2 * k + 2 * k * (k + 1) / (count - k - 1)


def _resample(law: Callable[..., Numbers], n: Numbers, x: Numbers, seed: int) -> Numbers:
    """Fit `RESAMPLES` bootstrap samples, with trials resampled within each size."""
    # A fixed seed: a report that is computed again must show the same intervals (METHOD M33).
    rng = np.random.default_rng(seed)
    # Within each size, because a sample without some of the sizes may not identify the law.
    groups = [np.flatnonzero(n == size) for size in np.unique(n)]
    drawn = (
        np.concatenate([rng.choice(group, group.size) for group in groups])
        for _ in range(RESAMPLES)
    )
    return np.array([_fit(law, n[chosen], x[chosen]) for chosen in drawn])


def _coefficient(value: float, resampled: Numbers) -> Coefficient:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Coefficient(float(value), float(low), float(high))
