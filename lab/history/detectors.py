"""Detects change points in a series with two algorithms, and combines them (METHOD M32).

The sensitive detector is that of Apache Otava (Hunter, arXiv 2301.03034): E-divisive (Matteson and
James, 2014) proposes cuts, a t test removes the weakest until all remaining cuts are significant.
It is implemented here because Otava's package pins numpy. The specific detector, with few false
positives, is asv's piecewise constant fit. A change point that both detect is an alarm; others are
watches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import scipy

# Otava's settings, calibrated for METHOD M32: a cut is proposed at WEAK_P, accepted at LARGEST_P.
WINDOW = 30
LARGEST_P, WEAK_P = 1e-4, 1e-3
SMALLEST_STEP = 0.05
# The fewest points of a level: of two points, one outlier would be half of the mean.
LEVEL = 3
# Detections at most this many commits apart are the same change point.
NEAR = 3
ALARM_FROM = 30


class ChangeStatus(StrEnum):
    """The combined result of the two detectors for one change point."""

    ALARM = "alarm"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change point.

    `at`: index of the first point of the new level.
    `detector`: the detectors that detected it.
    `before`, `after`: geometric means of the adjacent levels, up to the next change points.
    `p`: p-value of the t test between the two levels, on logarithms.
    """

    at: int
    detector: str
    status: ChangeStatus
    before: float
    after: float
    p: float

    @property
    def magnitude(self) -> float:
        """The relative change of the level: 0.2 is an increase of 20 %."""
        return self.after / self.before - 1


def vote(values: Sequence[float]) -> list[ChangePoint]:
    """Return the change points of a series of positive values, one per commit, in order.

    A series of fewer than `ALARM_FROM` points has watches only (METHOD M32).
    """
    logs = np.log(np.asarray(values, dtype=float))
    fast, slow = e_divisive(logs), asv_steps(values)
    both = {cut for cut in fast if _nearest(cut, slow) is not None}
    alone = {cut for cut in slow if _nearest(cut, fast) is None}
    # Where both detect a change, its place is that of E-divisive: asv's may be `NEAR` commits off.
    cuts = sorted({*fast, *alone})
    return [
        _step(logs, at, left, right, _detector(at, both, alone))
        for left, at, right in _levels(cuts, logs.size)
    ]


def _nearest(cut: int, others: Sequence[int]) -> int | None:
    near = [other for other in others if abs(other - cut) <= NEAR]
    return min(near, key=lambda other: abs(other - cut), default=None)


def _detector(at: int, both: set[int], alone: set[int]) -> str:
    if at in both:
        return "e-divisive and asv"
    return "asv" if at in alone else "e-divisive"


def _step(logs: np.ndarray, at: int, left: int, right: int, detector: str) -> ChangePoint:
    old, new = logs[left:at], logs[at:right]
    agreed = " and " in detector and logs.size >= ALARM_FROM
    status = ChangeStatus.ALARM if agreed else ChangeStatus.WATCH
    levels = math.exp(old.mean()), math.exp(new.mean())
    return ChangePoint(at, detector, status, *levels, _p_value(old, new))


def _levels(cuts: Sequence[int], n: int) -> Iterator[tuple[int, int, int]]:
    """Yield each cut with its neighbouring cuts, or the ends of the series."""
    edges = [0, *cuts, n]
    yield from zip(edges, edges[1:], edges[2:], strict=False)


def asv_steps(values: Sequence[float]) -> list[int]:
    """Return the indices where asv's piecewise constant fit changes by at least `SMALLEST_STEP`."""
    # At the top, the import of asv would delay commands that detect nothing.
    from asv.step_detect import detect_steps

    pieces = detect_steps(list(values))
    return [
        int(new[0])
        for old, new in pairwise(pieces)
        if abs(new[2] / old[2] - 1) >= SMALLEST_STEP and min(_length(old), _length(new)) >= LEVEL
    ]


def _length(piece: tuple[int, int, float, float, float]) -> int:
    return piece[1] - piece[0]


def e_divisive(logs: np.ndarray) -> list[int]:
    """Return the indices where E-divisive with Otava's t test cuts a series of logarithms."""
    cuts = sorted({cut for window in _windows(logs.size) for cut in _propose(logs, *window)})
    while cuts:
        weak = [
            (_p_value(logs[left:at], logs[at:right]), at)
            for left, at, right in _levels(cuts, logs.size)
            if not _is_significant(logs[left:at], logs[at:right])
        ]
        if not weak:
            break
        # One at a time: a removal joins two levels, which changes the p-values of the next cuts.
        cuts.remove(max(weak)[1])
    return cuts


def _windows(n: int) -> Iterator[tuple[int, int]]:
    """Yield overlapping windows: in a short one, a small change is a larger share of the spread."""
    for begin in range(0, max(1, n - WINDOW // 2), WINDOW // 2):
        yield begin, min(n, begin + WINDOW)
    if n > WINDOW:
        yield 0, n


def _propose(logs: np.ndarray, begin: int, end: int) -> Iterator[int]:
    if end - begin < 2 * LEVEL:
        return
    at = begin + _best_cut(logs[begin:end])
    if _p_value(logs[begin:at], logs[at:end]) <= WEAK_P:
        yield at
        yield from _propose(logs, begin, at)
        yield from _propose(logs, at, end)


def _best_cut(x: np.ndarray) -> int:
    """Return the cut of largest energy distance: mn/(m+n) (2 E|X-Y| - E|X-X'| - E|Y-Y'|)."""
    n = x.size
    # Sums over blocks of all distances: each cut then takes a few look-ups instead of a double sum.
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = np.abs(x[:, None] - x[None, :]).cumsum(0).cumsum(1)
    at = np.arange(LEVEL, n - LEVEL + 1)
    m, k = at, n - at
    left, across = sums[at, at], sums[at, n] - sums[at, at]
    right = sums[n, n] - left - 2 * across
    # A block's sum counts each pair twice, and a point has no distance to itself.
    within = left / (m * (m - 1)) + right / (k * (k - 1))
    return int(at[np.argmax(m * k / n * (2 * across / (m * k) - within))])


def _is_significant(old: np.ndarray, new: np.ndarray) -> bool:
    if min(old.size, new.size) < LEVEL or _p_value(old, new) > LARGEST_P:
        return False
    return math.exp(abs(new.mean() - old.mean())) - 1 >= SMALLEST_STEP


def _p_value(old: np.ndarray, new: np.ndarray) -> float:
    """Return the p-value of Student's t test, with the unbiased variance (Otava's is biased)."""
    if min(old.size, new.size) < 1 or old.size + new.size < LEVEL:
        return 1.0
    error = old.var() * old.size + new.var() * new.size
    freedom = old.size + new.size - 2
    difference = abs(float(new.mean() - old.mean()))
    # Both levels are constant: the t statistic would divide by zero.
    if not error:
        return float(difference == 0)
    spread = math.sqrt(error / freedom * (1 / old.size + 1 / new.size))
    # `import scipy` loads none of its parts; `scipy.special` is loaded here, at the first use.
    return 2 * float(scipy.special.stdtr(freedom, -difference / spread))
