"""Computes the backlog of an open-loop trial and its growth (METHOD M8).

The backlog is the number of tasks that were due and had not finished, counted from the ledger. It
is read while tasks are offered, without the first `SETTLING` of that time, in which an empty
backend fills.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pandas as pd
import scipy

from lab.analysis.metrics.metric import OPEN, Metric, MetricFunction
from lab.analysis.statistics import LEVEL, Numbers, RefusedError, Value
from lab.core.model import Estimate, RateProbe
from lab.results.schema import TrialRow

SETTLING = 0.2  # share of the window in which an empty backend fills
READINGS = 40
TASKS_FLOOR = 50
# Readings of an overloaded queue are a random walk around its growth. The variance of their
# least-squares slope is 6/5 of the variance of one second's change, divided by the length. An
# interval for four independent readings is not narrower than that.
FEWEST = 4.0
# A rate is sustained if the unfinished tasks, the possible growth of the backlog and the drain are
# all within their limits (METHOD M8). The first two have one limit: this share of the offered
# tasks, or the number of workers if that is larger, because running tasks are no backlog.
LEFT_LIMIT = 0.01
DRAIN_LIMIT = 0.05  # time from the last offer to the last finish, as a share of the window


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of one window.

    Attributes:
        rate: Offered tasks per second.
        slope: Growth of the backlog in tasks per second, with its interval.
        excess: Offered minus finished tasks per second.
        finished: Share of the offered tasks that finished while tasks were offered.
        tolerance: Share of the offered tasks that may be unfinished.
        drain: Time from the last offer to the last finish, as a share of the window.
        is_drained: Whether all tasks finished.
        n: Number of tasks.
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
        """Return a phrase for each criterion of a sustained rate that is not met."""
        # The upper end, because more growth than the limit must be ruled out, not just unproven.
        upper, limit = self.slope.high or 0.0, self.tolerance * self.rate
        phrases = []
        if self.finished < 1 - self.tolerance:
            phrases.append(f"only {self.finished:.1%} of the offered tasks finished")
        if upper > limit:
            phrases.append(f"backlog may grow by {upper:.3g} /s (limit {limit:.3g})")
        if self.drain > DRAIN_LIMIT:
            phrases.append(f"drain took {self.drain:.0%} of the window")
        return phrases

    @property
    def grows(self) -> bool:
        """Return whether the whole interval of the slope is above zero."""
        return (self.slope.low or 0.0) > 0


def backlog(trial: TrialRow, tasks: pd.DataFrame) -> Backlog:
    """Compute the backlog of a window.

    Args:
        trial: The trial's row; its workers and the end of its drain are used.
        tasks: One row per task with t0_ns and t4_ns; t4_ns is null if it did not finish.

    Raises:
        RefusedError: There are fewer than `TASKS_FLOOR` tasks, or the window has no end.
    """
    if len(tasks) < TASKS_FLOOR:
        raise RefusedError(f"A backlog needs {TASKS_FLOOR} tasks; there are {len(tasks)}.")
    # float64 rounds an instant to some ns after a long uptime: too little to move a reading.
    due = np.sort(tasks["t0_ns"].to_numpy("float64"))
    done = np.sort(tasks["t4_ns"].dropna().to_numpy("float64"))
    begin, length = due[0], (due[-1] - due[0]) / 1e9
    if not length:
        raise RefusedError("All tasks were due at one instant, so the backlog has no growth.")
    due, done = (due - begin) / 1e9, (done - begin) / 1e9
    at = np.linspace(SETTLING * length, length, READINGS)
    offered, finished = (np.searchsorted(times, at, side="right") for times in (due, done))
    waiting = (offered - finished).astype("float64")
    new = float(offered[-1] - offered[0])
    is_drained = done.size == due.size
    # An interrupted trial has no end, so its drain would seem to take no time.
    if not is_drained and pd.isna(trial.t_end_ns):
        raise RefusedError("The window was not completed.")
    end = done[-1] if is_drained else (float(trial.t_end_ns or 0) - begin) / 1e9
    return Backlog(
        # n instants have n - 1 gaps.
        rate=(due.size - 1) / length,
        slope=trend(at, waiting),
        excess=float(waiting[-1] - waiting[0]) / float(at[-1] - at[0]),
        # The growth and not the level: what waited at the first reading is not due to later tasks.
        finished=1 - (waiting[-1] - waiting[0]) / new if new else 0.0,
        tolerance=max(LEFT_LIMIT, trial.workers / new) if new else LEFT_LIMIT,
        drain=max(0.0, end - length) / length,
        is_drained=is_drained,
        n=due.size,
    )


def trend(at: Numbers, values: Numbers) -> Estimate:
    """Estimate the slope of `values` over `at` by least squares, with its interval.

    Successive readings of one queue are correlated, so the effective sample size is
    ``n (1 - r) / (1 + r)``, where r is the lag-1 autocorrelation of the residuals
    (Santer et al., J. Geophys. Res. 105, 2000).
    """
    x = at - at.mean()
    slope = float(x @ values / (x @ x))
    residuals = values - values.mean() - slope * x
    spread = float(residuals @ residuals)
    correlation = max(0.0, float(residuals[1:] @ residuals[:-1]) / spread) if spread else 0.0
    # A negative r would claim more independent readings than there are; it is cut to 0 above.
    count = max(FEWEST, at.size * (1 - correlation) / (1 + correlation))
    # Two degrees of freedom are used up by the mean and the slope.
    error = math.sqrt(spread / (count - 2) / float(x @ x))
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, count - 2)) * error
    method = f"least squares; interval for {count:.0f} independent readings of {at.size}"
    return Estimate(slope, slope - half, slope + half, LEVEL, int(at.size), method)


def overloaded(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return 0 if the rate was sustained, and 1 if it was not and the backlog surely grew.

    Raises:
        RefusedError: The rate was not sustained, but the slope's interval contains 0.
    """
    result = backlog(trial, tasks)
    if not result.failings:
        return Value(0.0, "", result.n, "sustained: finished, slope and drain within their limits")
    why = ", ".join(result.failings)
    # Between the two verdicts there is none: an interval that contains 0 proves no growth.
    if not result.grows:
        raise RefusedError(f"Neither sustained nor surely overloaded: {why}.")
    return Value(1.0, "", result.n, f"overloaded: {why}")


def _of_backlog(number: Callable[[Backlog], float], method: str = "") -> MetricFunction:
    """Return the measure for one number of a backlog."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        result = backlog(trial, tasks)
        return Value(float(number(result)), "", result.n, method or result.slope.method)

    return measure


def drain(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the time from the last offer to the last finish, as a share of the window."""
    result = backlog(trial, tasks)
    bound = "" if result.is_drained else ">"
    return Value(result.drain, bound, result.n, "(last finish - last offer) / window")


def metrics() -> Iterator[Metric]:
    """Yield the metrics of the backlog; for all of them less is better."""
    slope = "backlog_slope"
    excess = _of_backlog(lambda b: b.excess, "offered - finished tasks per second")
    end = "end of the 95 % interval of the backlog's slope."
    for name, unit, about, measure in (
        (f"{slope}_per_s", "1/s", "Slope of the backlog.", _of_backlog(lambda b: b.slope.value)),
        (f"{slope}_low_per_s", "1/s", f"Low {end}", _of_backlog(attrgetter("slope.low"))),
        (f"{slope}_high_per_s", "1/s", f"High {end}", _of_backlog(attrgetter("slope.high"))),
        (
            "arrival_minus_completion_per_s",
            "1/s",
            "Offered minus finished tasks per second.",
            excess,
        ),
        ("drain_share", "1", "Last offer to last finish, as a share of the window.", drain),
        ("overloaded", "1", "1: the backlog grew; 0: the rate was sustained.", overloaded),
    ):
        yield Metric(name, unit, "lower", about, measure, (*OPEN, RateProbe.kind))
