"""What one more task costs, and how long a task must be to be worth it (METHOD M17b, M17c).

Pure functions of the trials of one block, to one number of that block; over blocks these have an
interval like any number of a trial. Source of METG: Slaughter et al., "Task Bench", SC 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from lab.analysis.statistics import RefusedError, Value

SIZES_FLOOR = 3  # two points lie on any line
HALF = 0.5
# A share of work of all and more has no odds; that much is within the error of the calibration.
LARGEST = 0.999


@dataclass(frozen=True, slots=True)
class Line:
    """A burst's length by its number of tasks, ``T(n) = fixed_s + each_s n``."""

    fixed_s: float
    each_s: float


def line(tasks: Sequence[int], lengths_s: Sequence[float]) -> Line:
    """Fit the length of bursts to their number of tasks by Theil and Sen: the median slope.

    Args:
        tasks: Tasks of each burst.
        lengths_s: Seconds of each burst, from the first submit call to the last completion.

    Raises:
        RefusedError: Fewer than `SIZES_FLOOR` different numbers of tasks were measured.
    """
    if (sizes := len(set(tasks))) < SIZES_FLOOR:
        raise RefusedError(f"A marginal cost needs bursts of {SIZES_FLOOR} sizes; {sizes} ended.")
    found = scipy.stats.theilslopes(lengths_s, tasks)
    return Line(float(found.intercept), float(found.slope))


def smallest_worth(work_s: Sequence[float], shares: Sequence[float]) -> Value:
    """Return METG(50 %): the shortest task of whose slots' time at least half is work.

    Between the last size below one half and the first above, the odds ``E / (1 - E)`` are
    interpolated over log w: on a line there where each task costs the same, ``E = w / (w + o)``.

    Args:
        work_s: Work of a task in each trial, all different.
        shares: Efficiency of each trial.

    Returns:
        Seconds. Its bound is ``"<"`` where the shortest tasks are worth it already, and ``">"``
        where the longest are not.

    Raises:
        RefusedError: Fewer than `SIZES_FLOOR` sizes were measured.
    """
    grid = sorted(zip(work_s, shares, strict=True))
    if len(grid) < SIZES_FLOOR:
        raise RefusedError(f"METG needs tasks of {SIZES_FLOOR} sizes; {len(grid)} ended.")
    # From the long end, so that one lucky trial of short tasks does not decide.
    below = [place for place, (_, share) in enumerate(grid) if share < HALF]
    if not below:
        return Value(grid[0][0], "<", len(grid), "the shortest tasks are worth it already")
    if below[-1] == len(grid) - 1:
        best = max(share for _, share in grid)
        return Value(grid[-1][0], ">", len(grid), f"efficiency is {best:.2g} at most")
    (low_s, low), (high_s, high) = grid[below[-1]], grid[below[-1] + 1]
    a, b = _log_odds(low), _log_odds(high)
    way = a / (a - b)
    found = math.exp(math.log(low_s) + way * (math.log(high_s) - math.log(low_s)))
    return Value(found, "", len(grid), f"between {low_s:g} s and {high_s:g} s")


def _log_odds(share: float) -> float:
    share = min(max(share, 1 - LARGEST), LARGEST)
    return math.log(share / (1 - share))
