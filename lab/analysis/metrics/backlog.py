"""Whether a system kept up with an open loop: the backlog of a trial, and how it grew (METHOD M8).

The backlog is the tasks that were due and had not finished, counted from the ledger. It is read
while tasks are offered, after the first part of that time, in which an empty system fills.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Estimate
from lab.results.schema import TrialRow

Measure = Callable[[TrialRow, pd.DataFrame], Value]
"""From a trial's row and its tasks, a row a task, to a value, or `RefusedError`."""

Numbers = NDArray[np.float64]

SETTLING = 0.2  # share of the window that an empty system is given to fill
READINGS = 40
TASKS_FLOOR = 50
LEVEL = 0.95
# Readings of an overloaded queue are a random walk about its growth. Its slope by least squares has
# the variance 6/5 of a step over a second, by the length; four independent ones tell no less.
FEWEST = 4.0
# A rate is sustained when all three hold (METHOD M8).
# Tasks that did not finish, and by which the backlog may have grown, of those that were offered; or
# as many as there are workers, if these are more: they are under way at any rate, and no backlog.
LEFT_LIMIT = 0.01
DRAIN_LIMIT = 0.05  # time from the last offer to the last finish, as a share of the window


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a window's tasks tell of its load; times in seconds, rates a second.

    `excess` is offered less finished a second; `drain` and `finished` are shares, and so is
    `tolerance`, of tasks that may be left.
    """

    rate: float
    slope: Estimate
    excess: float
    finished: float
    tolerance: float
    drain: float
    is_drained: bool
    n: int

    @property
    def failings(self) -> list[str]:
        """Say which criteria of a sustained rate do not hold."""
        upper, limit = self.slope.high or 0.0, self.tolerance * self.rate
        criteria = {
            f"{self.finished:.1%} finished of those offered": self.finished < 1 - self.tolerance,
            f"backlog may grow by {upper:.3g} /s (limit {limit:.3g})": upper > limit,
            f"drain took {self.drain:.0%} of the window": self.drain > DRAIN_LIMIT,
        }
        return [sentence for sentence, stands in criteria.items() if stands]

    @property
    def grows(self) -> bool:
        """Whether the whole interval of the slope lies above zero."""
        return (self.slope.low or 0.0) > 0


def backlog(trial: TrialRow, tasks: pd.DataFrame) -> Backlog:
    """Read the backlog of a window.

    Args:
        trial: The trial's row, for its workers and the end of its drain.
        tasks: One row a task: t0_ns and t4_ns, null where it did not finish.

    Raises:
        RefusedError: There are too few tasks to tell, or the window has no end.
    """
    if len(tasks) < TASKS_FLOOR:
        raise RefusedError(f"A backlog needs {TASKS_FLOOR} tasks; there are {len(tasks)}.")
    due = np.sort(tasks["t0_ns"].to_numpy("float64"))
    done = np.sort(tasks["t4_ns"].dropna().to_numpy("float64"))
    begin, length = due[0], (due[-1] - due[0]) / 1e9
    if not length:
        raise RefusedError("All tasks were due at one instant: nothing was offered over time.")
    due, done = (due - begin) / 1e9, (done - begin) / 1e9
    at = np.linspace(SETTLING * length, length, READINGS)
    offered, finished = (np.searchsorted(times, at, side="right") for times in (due, done))
    waiting = (offered - finished).astype("float64")
    new = float(offered[-1] - offered[0])
    is_drained = done.size == due.size
    if not is_drained and pd.isna(trial.t_end_ns):
        raise RefusedError("The window did not come to its end.")
    end = done[-1] if is_drained else (float(trial.t_end_ns or 0) - begin) / 1e9
    return Backlog(
        rate=(due.size - 1) / length,
        slope=trend(at, waiting),
        excess=float(waiting[-1] - waiting[0]) / float(at[-1] - at[0]),
        finished=1 - (waiting[-1] - waiting[0]) / new if new else 0.0,
        tolerance=max(LEFT_LIMIT, trial.workers / new) if new else LEFT_LIMIT,
        drain=max(0.0, end - length) / length,
        is_drained=is_drained,
        n=due.size,
    )


def trend(at: Numbers, values: Numbers) -> Estimate:
    """Estimate the slope of `values` over `at` by least squares, with its interval.

    Readings of one queue resemble each other, so they count for fewer: ``n (1 - r) / (1 + r)`` with
    r the correlation of neighbouring residuals (Santer et al., J. Geophys. Res. 105, 2000).
    """
    x = at - at.mean()
    slope = float(x @ values / (x @ x))
    residuals = values - values.mean() - slope * x
    spread = float(residuals @ residuals)
    alike = max(0.0, float(residuals[1:] @ residuals[:-1]) / spread) if spread else 0.0
    count = max(FEWEST, at.size * (1 - alike) / (1 + alike))
    error = math.sqrt(spread / (count - 2) / float(x @ x))
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, count - 2)) * error
    method = f"least squares; interval for {count:.0f} independent readings of {at.size}"
    return Estimate(slope, slope - half, slope + half, LEVEL, int(at.size), method)


def overloaded(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return 0 where the rate was sustained, 1 where the backlog grew and tasks were left behind.

    Raises:
        RefusedError: Neither can be said.
    """
    found = backlog(trial, tasks)
    if not found.failings:
        return Value(0.0, "", found.n, "sustained: finished, slope and drain within their limits")
    why = ", ".join(found.failings)
    if not found.grows:
        raise RefusedError(f"Neither sustained nor surely overloaded: {why}.")
    return Value(1.0, "", found.n, f"overloaded: {why}")


def _told(number: Callable[[Backlog], float], method: str = "") -> Measure:
    """Make the measure that tells one number of a backlog."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        found = backlog(trial, tasks)
        return Value(float(number(found)), "", found.n, method or found.slope.method)

    return measure


def drain(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the time from the last offer to the last finish, as a share of the window."""
    found = backlog(trial, tasks)
    bound = "" if found.is_drained else ">"
    return Value(found.drain, bound, found.n, "last finish - last offer, of the window")


def numbers() -> Iterator[tuple[str, str, str, Measure]]:
    """Yield each number's name, unit, meaning and measure; of all of them less is better."""
    slope = "backlog_slope"
    yield f"{slope}_per_s", "1/s", "Slope of the backlog.", _told(lambda b: b.slope.value)
    for end in ("low", "high"):
        about = f"{end.capitalize()} end of the 95 % interval of the backlog's slope."
        yield f"{slope}_{end}_per_s", "1/s", about, _told(lambda b, e=end: getattr(b.slope, e))  # type: ignore[misc]
    about = "Tasks offered less tasks finished a second."
    yield "excess_per_s", "1/s", about, _told(lambda b: b.excess, "offered - finished, a second")
    yield "drain_share", "1", "Last offer to last finish, as a share of the window.", drain
    yield "overloaded", "1", "1: the backlog grew; 0: the rate was sustained.", overloaded
