"""How throughput grows with workers: speed-up, efficiency, and a law where the data identify one.

Pure functions of (workers, tasks/s) points, one a trial (METHOD M20, M21). Sources: Amdahl 1967;
Karp and Flatt, CACM 1990; Gunther's Universal Scalability Law,
``X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from lab.analysis.statistics import RefusedError

Numbers = NDArray[np.float64]

# METHOD M21: fewer sizes, or no clear gain over Amdahl's law, identify no retrograde term.
SIZES_FLOOR = 6
AICC_GAIN = 10.0
RESAMPLES = 400
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A fitted number with the interval that resampling of trials gives."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Law:
    """What a system's scaling follows.

    `rate` is lambda, tasks/s of one worker; `contention` sigma, the serial share; `coherency`
    kappa, the cost of workers waiting for each other, None under Amdahl's law. `peak` is the number
    of workers beyond which more do harm, None where the data show none; `about` says it in words.
    """

    rate: Coefficient
    contention: Coefficient
    coherency: Coefficient | None
    peak: Coefficient | None
    about: str


def speed_up(rate: float, base: float) -> float:
    """Return ``S = X(p) / X(base)``; the caller says which base it is (METHOD M20)."""
    return rate / base


def efficiency(rate: float, base: float, multiple: float) -> float:
    """Return ``E = S / p``; p is how many times the base's workers there are."""
    return speed_up(rate, base) / multiple


def karp_flatt(speed: float, multiple: float) -> float:
    """Return the experimentally determined serial share, ``(1/S - 1/p) / (1 - 1/p)``.

    It rises with p where overhead grows, and is constant where a serial part is the cause.

    Raises:
        RefusedError: The base itself has no serial share.
    """
    _require_growth(multiple)
    return (1 / speed - 1 / multiple) / (1 - 1 / multiple)


def gustafson(speed: float, multiple: float) -> float:
    """Return the serial share of weak scaling, where work grows too: f of ``S = p - f (p - 1)``.

    Raises:
        RefusedError: The base itself has no serial share.
    """
    _require_growth(multiple)
    return (multiple - speed) / (multiple - 1)


def _require_growth(multiple: float) -> None:
    if multiple <= 1:
        raise RefusedError("The serial share needs more workers than the base has.")


def usl(workers: Numbers, rate: float, contention: float, coherency: float) -> Numbers:
    """Return the rates of the Universal Scalability Law; coherency 0 is Amdahl's law."""
    waiting = contention * (workers - 1) + coherency * workers * (workers - 1)
    return np.asarray(rate * workers / (1 + waiting))


def amdahl(workers: Numbers, rate: float, contention: float) -> Numbers:
    """Return the rates of Amdahl's law, of which `contention` is the serial share."""
    return usl(workers, rate, contention, 0.0)


def fit(
    workers: Sequence[float], rates: Sequence[float], of: str = "workers", seed: int = 1
) -> Law:
    """Fit the law that the points identify, trial by trial.

    The third coefficient and the peak are told only when at least `SIZES_FLOOR` sizes were
    measured, one of them past the peak, the law's AICc is better than Amdahl's by more than
    `AICC_GAIN`, and the coefficient's interval leaves out 0.

    Args:
        workers: Workers of each trial.
        rates: Tasks per second of each trial, all positive.
        of: What grew, if it was not workers.
        seed: Of the resampling.

    Raises:
        RefusedError: Fewer than three sizes were measured: two points fit anything.
    """
    n, x = np.asarray(workers, dtype=float), np.asarray(rates, dtype=float)
    sizes = np.unique(n)
    if sizes.size < 3:  # noqa: PLR2004 (two coefficients)
        raise RefusedError(f"A law needs 3 sizes; {sizes.size} were measured.")
    simple, full = _fit(amdahl, n, x), _fit(usl, n, x)
    gain = _aicc(amdahl, simple, n, x) - _aicc(usl, full, n, x)
    is_seen = sizes.size >= SIZES_FLOOR and _peak(full) < sizes[-1]
    if is_seen and gain > AICC_GAIN and (law := _retrograde(full, n, x, of, seed)):
        return law
    resampled = _resample(amdahl, n, x, seed)
    rate, contention = (_coefficient(simple[i], resampled[:, i]) for i in (0, 1))
    few = f"; a retrograde term needs {SIZES_FLOOR}" if sizes.size < SIZES_FLOOR else ""
    about = f"Amdahl's law; no retrograde scaling identified up to {sizes[-1]:.0f} {of}"
    return Law(rate, contention, None, None, f"{about} ({sizes.size} sizes{few})")


def _retrograde(full: Numbers, n: Numbers, x: Numbers, of: str, seed: int) -> Law | None:
    """Return the whole law, or None where the interval of its third coefficient holds 0."""
    resampled = _resample(usl, n, x, seed)
    rate, contention, coherency = (_coefficient(full[i], resampled[:, i]) for i in range(3))
    if coherency.low <= 0:
        return None
    peak = _coefficient(_peak(full), np.array([_peak(found) for found in resampled]))
    about = f"Universal Scalability Law; most tasks/s at {peak.value:.1f} {of}"
    return Law(rate, contention, coherency, peak, about)


def _peak(coefficients: Numbers) -> float:
    """Return ``N* = sqrt((1 - sigma) / kappa)``."""
    _, contention, coherency = coefficients
    return math.sqrt((1 - contention) / coherency) if coherency > 0 else math.inf


def _fit(law: Callable[..., Numbers], n: Numbers, x: Numbers) -> Numbers:
    """Fit with relative weights, for a rate scatters in proportion to itself."""
    begin = [float((x / n).max()), 0.05, 0.001][: law.__code__.co_argcount - 1]
    upper = [np.inf, 1.0, 1.0][: len(begin)]
    with warnings.catch_warnings():
        # It is not asked for: intervals come from resampling.
        warnings.filterwarnings(
            "ignore", "Covariance of the parameters", scipy.optimize.OptimizeWarning
        )
        bounds = ([0.0] * len(begin), upper)
        found, _ = scipy.optimize.curve_fit(law, n, x, begin, sigma=x, bounds=bounds)
    return np.asarray(found)


def _aicc(law: Callable[..., Numbers], found: Numbers, n: Numbers, x: Numbers) -> float:
    """Return Akaike's criterion with the correction for small samples, on relative residuals."""
    count, k = n.size, found.size + 1
    residual = float((((law(n, *found) - x) / x) ** 2).sum())
    if count <= k + 1 or residual <= 0:
        return math.inf if residual > 0 else -math.inf
    return count * math.log(residual / count) + 2 * k + 2 * k * (k + 1) / (count - k - 1)


def _resample(law: Callable[..., Numbers], n: Numbers, x: Numbers, seed: int) -> Numbers:
    """Fit again and again, with trials drawn anew within each size."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(n == size) for size in np.unique(n)]
    drawn = (
        np.concatenate([rng.choice(group, group.size) for group in groups])
        for _ in range(RESAMPLES)
    )
    return np.array([_fit(law, n[chosen], x[chosen]) for chosen in drawn])


def _coefficient(value: float, resampled: Numbers) -> Coefficient:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Coefficient(float(value), float(low), float(high))
