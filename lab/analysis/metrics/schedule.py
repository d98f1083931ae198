"""Computes the schedule metrics of a trial from its occurrences (METHOD M26).

Lateness is computed over the firings of all jobs; it includes the wait for other jobs that are due
at the same instant. Jitter and drift are computed for each job; the metric is the median over jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import scipy

from lab.analysis.metrics.latency import mean_of
from lab.analysis.metrics.metric import Metric, MetricFunction
from lab.analysis.statistics import RefusedError, Seconds, Value, percentile
from lab.core.model import Periodic
from lab.core.outcomes import FiringOutcome
from lab.results.schema import TrialRow

# An early firing ran, so its error counts; that it was early is a metric of its own.
FIRED = (FiringOutcome.FIRED, FiringOutcome.EARLY)
# With fewer occurrences, one late firing determines the slope.
DRIFT_FLOOR = 5


def _fired(occurrences: pd.DataFrame) -> pd.DataFrame:
    fired = occurrences[occurrences["outcome"].isin([str(outcome) for outcome in FIRED])]
    if fired.empty:
        raise RefusedError(f"None of {len(occurrences)} occurrences had a firing.")
    return fired


def _errors(fired: pd.DataFrame) -> Seconds:
    return fired["error_ns"].to_numpy("float64") / 1e9


def lateness(q: float) -> MetricFunction:
    """Return a measure: percentile `q` of start - nominal instant, seconds; negative if early."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        return percentile(_errors(_fired(occurrences)), q)

    return measure


def latest(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
    """Return the largest start - nominal instant, seconds."""
    errors = _errors(_fired(occurrences))
    return Value(float(errors.max()), "", errors.size, "maximum")


def by_job(method: str, of_job: Callable[[pd.DataFrame], float]) -> MetricFunction:
    """Return a measure: the median over jobs of `of_job`, which gets one job's occurrences."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        fired = _fired(occurrences)
        values = [of_job(job.sort_values("k")) for _, job in fired.groupby("job")]
        over_jobs = method if len(values) == 1 else f"{method}, median of {len(values)} jobs"
        return Value(float(np.median(values)), "", len(fired), over_jobs)

    return measure


def quartile_range(fired: pd.DataFrame) -> float:
    """Return the interquartile range of one job's errors in seconds."""
    errors = _errors(fired)
    return percentile(errors, 75).value - percentile(errors, 25).value


def deviation(fired: pd.DataFrame) -> float:
    """Return the standard deviation of one job's errors in seconds."""
    if len(fired) < 2:  # noqa: PLR2004 (a standard deviation needs two)
        raise RefusedError(f"A standard deviation needs 2 occurrences; there is {len(fired)}.")
    return float(_errors(fired).std(ddof=1))


def drift(fired: pd.DataFrame) -> float:
    """Return the Theil-Sen slope of one job's errors in seconds per occurrence."""
    if len(fired) < DRIFT_FLOOR:
        raise RefusedError(f"Drift needs {DRIFT_FLOOR} occurrences; there are {len(fired)}.")
    # An error above one period appears as a small error of the next occurrence: unwrap it.
    # The smallest distance, because a missed occurrence leaves a multiple of the period.
    period_s = float(fired["nominal_ns"].diff().min()) / 1e9
    errors = np.unwrap(_errors(fired), period=period_s)
    return float(scipy.stats.theilslopes(errors, fired["k"].to_numpy()).slope)


def longest_period_error(fired: pd.DataFrame) -> float:
    """Return the largest deviation of one job's periods from the specified one, in seconds."""
    errors, k = _errors(fired), fired["k"].to_numpy()
    # Consecutive ones only: a missed occurrence has its own metric, and is no long period.
    periods = np.abs(np.diff(errors))[np.diff(k) == 1]
    if not periods.size:
        raise RefusedError("No two consecutive occurrences had a firing.")
    return float(periods.max())


def count(outcome: FiringOutcome) -> MetricFunction:
    """Return a measure: the number of occurrences and surplus firings with an outcome."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        return _counted(int((occurrences["outcome"] == str(outcome)).sum()), occurrences)

    return measure


def overlapping(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
    """Return how many firings started while the previous firing of the job still ran."""
    return _counted(int(occurrences["overlaps"].sum()), occurrences)


def _counted(number: int, occurrences: pd.DataFrame) -> Value:
    # A doubled firing is one more row of an occurrence that was due once.
    due = len(occurrences.drop_duplicates(["job", "k"]))
    if not due:
        raise RefusedError("No occurrence was due: the window ended early.")
    return Value(float(number), "", due, f"of {due} occurrences due")


def metrics() -> Iterator[Metric]:
    """Yield the metrics of periodic trials; for all of them less is better."""
    yield Metric(
        "schedule_to_first_run_s_mean",
        "s",
        "lower",
        "Mean of: schedule call to first firing, which may be due a period later.",
        mean_of("t1_ns", "t3_ns"),
        (Periodic.kind,),
    )
    for name, unit, about, measure in _of_firings():
        yield Metric(name, unit, "lower", about, measure, (Periodic.kind,), table="firing")


def _of_firings() -> Iterator[tuple[str, str, str, MetricFunction]]:
    """Yield name, unit, meaning and function of each metric of the table `firing`."""
    for q in (50, 90, 99):
        yield f"lateness_s_p{q}", "s", f"p{q} of: start - nominal instant.", lateness(q)
    yield "lateness_s_max", "s", "Largest start - nominal instant.", latest
    for name, unit, meaning, method, of_job in (
        ("jitter_s_iqr", "s", "Interquartile range of the error.", "p75 - p25", quartile_range),
        ("jitter_s_sd", "s", "Standard deviation of the error.", "sd", deviation),
        ("drift_s_per_occurrence", "s", "Slope of the error over occurrences.", "Theil-Sen", drift),
        (
            "period_error_s_max",
            "s",
            "Largest deviation of the time between two firings from the period.",
            "maximum",
            longest_period_error,
        ),
    ):
        yield name, unit, meaning, by_job(method, of_job)
    for outcome, meaning in (
        (FiringOutcome.MISSED, "Nominal instants without a firing."),
        (FiringOutcome.DOUBLED, "Firings in addition to the one that was due."),
        (FiringOutcome.EARLY, "Firings that started before the instant of their cron line."),
    ):
        yield str(outcome), "1", meaning, count(outcome)
    yield "overlapping", "1", "Firings that started while the previous one still ran.", overlapping
