"""Computes the marginal cost of a task, and the minimum effective granularity (METHOD M17b, M17c).

Pure functions from the trials of one block to one number of that block; over blocks, the numbers
have an interval like any number of a trial. Source of METG: Slaughter et al., "Task Bench", SC
2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from lab.analysis.statistics import RefusedError, Value

SIZES_FLOOR = 3  # any two points lie on a line
HALF = 0.5
# The log-odds of a share of 1 are infinite; the difference is within the calibration's error.
LARGEST = 0.999


@dataclass(frozen=True, slots=True)
class LengthFit:
    """A burst's length by its number of tasks, ``T(n) = fixed_s + each_s n``."""

    fixed_s: float
    each_s: float


def fit_length(tasks: Sequence[int], lengths_s: Sequence[float]) -> LengthFit:
    """Fit the length of bursts to their number of tasks by Theil and Sen: the median slope.

    Args:
        tasks: Tasks of each burst.
        lengths_s: Seconds of each burst, from the first submit call to the last completion.

    Raises:
        RefusedError: Fewer than `SIZES_FLOOR` different numbers of tasks were measured.
    """
    if (sizes := len(set(tasks))) < SIZES_FLOOR:
        raise RefusedError(f"A marginal cost needs bursts of {SIZES_FLOOR} sizes; {sizes} ended.")
    # theilslopes takes y first. Its median of slopes resists one slow burst; least squares do not.
    fit = scipy.stats.theilslopes(lengths_s, tasks)
    return LengthFit(float(fit.intercept), float(fit.slope))


def minimum_granularity(work_s: Sequence[float], shares: Sequence[float]) -> Value:
    """Return METG(50 %): the shortest task for which at least half of the slots' time is work.

    Between the longest size with an efficiency below one half and the next longer one, the log-odds
    ``log(E / (1 - E))`` are interpolated over log w. They lie on a line if each task has the same
    overhead o, ``E = w / (w + o)``.

    Args:
        work_s: Work of a task in each trial, all different.
        shares: Efficiency of each trial.

    Returns:
        Seconds. Its bound is ``"<"`` if the shortest tasks reach one half, and ``">"`` if the
        longest do not.

    Raises:
        RefusedError: Fewer than `SIZES_FLOOR` sizes were measured.
    """
    grid = sorted(zip(work_s, shares, strict=True))
    if len(grid) < SIZES_FLOOR:
        raise RefusedError(f"METG needs tasks of {SIZES_FLOOR} sizes; {len(grid)} ended.")
    # The last one below: a single good trial of short tasks must not decide.
    below = [place for place, (_, share) in enumerate(grid) if share < HALF]
    if not below:
        return Value(grid[0][0], "<", len(grid), "the shortest tasks are at least 50 % efficient")
    if below[-1] == len(grid) - 1:
        best = max(share for _, share in grid)
        return Value(grid[-1][0], ">", len(grid), f"efficiency is {best:.2g} at most")
    (low_s, low), (high_s, high) = grid[below[-1]], grid[below[-1] + 1]
    a, b = _log_odds(low), _log_odds(high)
    # No division by 0: the lower share is below one half, the higher one is not.
    position = a / (a - b)
    metg_s = math.exp(math.log(low_s) + position * (math.log(high_s) - math.log(low_s)))
    return Value(metg_s, "", len(grid), f"between {low_s:g} s and {high_s:g} s")


def _log_odds(share: float) -> float:
    share = min(max(share, 1 - LARGEST), LARGEST)
    return math.log(share / (1 - share))
