"""How well a trial's schedule was kept: numbers from its occurrences (METHOD M26).

Lateness is over the runs of all jobs. Jitter and drift are of one job, the median over jobs:
whether jobs that are due at one instant wait for each other is a matter of lateness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.analysis.statistics import RefusedError, Value, percentile
from lab.core.outcomes import Occurrence
from lab.results.schema import TrialRow

Measure = Callable[[TrialRow, pd.DataFrame], Value]
"""From a trial's row and its occurrences to a value, or `RefusedError`."""

Seconds = NDArray[np.float64]

KEPT = (Occurrence.KEPT, Occurrence.EARLY)
# With fewer, one late run makes the slope.
DRIFT_FLOOR = 5


def _kept(occurrences: pd.DataFrame) -> pd.DataFrame:
    kept = occurrences[occurrences["verdict"].isin([str(verdict) for verdict in KEPT])]
    if kept.empty:
        raise RefusedError(f"None of {len(occurrences)} occurrences was kept.")
    return kept


def _errors(kept: pd.DataFrame) -> Seconds:
    return kept["error_ns"].to_numpy("float64") / 1e9


def lateness(q: float) -> Measure:
    """Make the measure: percentile `q` of start - nominal instant, negative where early."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        return percentile(_errors(_kept(occurrences)), q)

    return measure


def latest(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
    """Return the largest start - nominal instant."""
    errors = _errors(_kept(occurrences))
    return Value(float(errors.max()), "", errors.size, "maximum")


def by_job(what: str, of_job: Callable[[pd.DataFrame], float]) -> Measure:
    """Make the measure: the median over jobs of what each job's kept occurrences say."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        kept = _kept(occurrences)
        values = [of_job(own.sort_values("k")) for _, own in kept.groupby("job")]
        method = what if len(values) == 1 else f"{what}, median of {len(values)} jobs"
        return Value(float(np.median(values)), "", len(kept), method)

    return measure


def quartile_range(kept: pd.DataFrame) -> float:
    """Return the interquartile range of one job's errors in seconds."""
    errors = _errors(kept)
    return percentile(errors, 75).value - percentile(errors, 25).value


def deviation(kept: pd.DataFrame) -> float:
    """Return the standard deviation of one job's errors in seconds."""
    if len(kept) < 2:  # noqa: PLR2004 (a spread needs two)
        raise RefusedError(f"No deviation of {len(kept)} occurrence.")
    return float(_errors(kept).std(ddof=1))


def drift(kept: pd.DataFrame) -> float:
    """Return the Theil-Sen slope of one job's errors in seconds an occurrence."""
    if len(kept) < DRIFT_FLOOR:
        raise RefusedError(f"Drift needs {DRIFT_FLOOR} occurrences; there are {len(kept)}.")
    # An error that passes the end of its period goes on in the next one: undo that.
    period_s = float(kept["nominal_ns"].diff().min()) / 1e9
    errors = np.unwrap(_errors(kept), period=period_s)
    return float(scipy.stats.theilslopes(errors, kept["k"].to_numpy()).slope)


def longest_period_error(kept: pd.DataFrame) -> float:
    """Return the largest deviation of one job's periods from the specified one, in seconds."""
    errors, k = _errors(kept), kept["k"].to_numpy()
    periods = np.abs(np.diff(errors))[np.diff(k) == 1]
    if not periods.size:
        raise RefusedError("No two occurrences in a row were kept.")
    return float(periods.max())


def count(verdict: Occurrence) -> Measure:
    """Make the measure: how many occurrences, or runs too many, have a verdict."""

    def measure(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
        return _counted(int((occurrences["verdict"] == str(verdict)).sum()), occurrences)

    return measure


def overlapping(_trial: TrialRow, occurrences: pd.DataFrame) -> Value:
    """Return how many runs started while the run before of their job still ran."""
    return _counted(int(occurrences["overlaps"].sum()), occurrences)


def _counted(found: int, occurrences: pd.DataFrame) -> Value:
    owed = len(occurrences.drop_duplicates(["job", "k"]))
    if not owed:
        raise RefusedError("No occurrence was owed: the window did not come to its end.")
    return Value(float(found), "", owed, f"of {owed} occurrences owed")


def numbers() -> Iterator[tuple[str, str, str, Measure]]:
    """Yield each number's name, unit, meaning and measure; of all of them less is better."""
    for q in (50, 90, 99):
        yield f"lateness_s_p{q}", "s", f"p{q} of: start - nominal instant.", lateness(q)
    yield "lateness_s_max", "s", "Largest start - nominal instant.", latest
    for name, unit, about, method, of_job in (
        ("jitter_s_iqr", "s", "Interquartile range of the error.", "p75 - p25", quartile_range),
        ("jitter_s_sd", "s", "Standard deviation of the error.", "sd", deviation),
        ("drift_s_per_occurrence", "s", "Slope of the error over occurrences.", "Theil-Sen", drift),
        (
            "period_error_s_max",
            "s",
            "Largest deviation of the time between two runs from the period.",
            "maximum",
            longest_period_error,
        ),
    ):
        yield name, unit, about, by_job(method, of_job)
    for verdict, about in (
        (Occurrence.MISSED, "Nominal instants without a run."),
        (Occurrence.DOUBLED, "Runs beyond the one that was due."),
        (Occurrence.EARLY, "Runs that started before the instant of their cron line."),
    ):
        yield str(verdict), "1", about, count(verdict)
    yield "overlapping", "1", "Runs that started while the one before still ran.", overlapping
