"""Selects the samples of one counter, and finds the processes that contain the workers."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from lab.analysis.metrics.metric import Metric, MetricFunction, always
from lab.analysis.statistics import RefusedError
from lab.core.model import Burst, Idle, Paced, RoundTrip
from lab.results.schema import TrialRow

OFFERED = (Burst.kind, Paced.kind, RoundTrip.kind)
ALL = (*OFFERED, Idle.kind)


def of_samples(  # noqa: PLR0913, PLR0917 (the fields of a metric)
    name: str,
    unit: str,
    about: str,
    measure: MetricFunction,
    arrivals: tuple[str, ...] = ALL,
    applies: Callable[[TrialRow], bool] = always,
) -> Metric:
    """Return a metric of the table `sample`; lower is better."""
    return Metric(name, unit, "lower", about, measure, arrivals, applies, "sample")


def host_of_workers(samples: pd.DataFrame) -> tuple[str, str]:
    """Return the role whose processes contain the workers, and a description of these processes.

    Raises:
        RefusedError: There are no process counts, because the workers are on another machine.
    """
    counts = samples[samples["metric"] == "processes"]
    if counts.empty:
        raise RefusedError("The workers' processes are not visible from this machine.")
    # A pool of threads or an event loop has no process of its own, so its memory is the driver's.
    if (counts.loc[counts["source"] == "workers", "value"] > 0).any():
        return "workers", "of the workers' processes"
    return "driver", "of the driver's process, which contains the workers"


def readings(trial: TrialRow, samples: pd.DataFrame, source: str, metric: str) -> pd.DataFrame:
    """Return the readings of one counter, ordered by time.

    Raises:
        RefusedError: There is no reading, or the window is incomplete.
    """
    counter = samples[(samples["source"] == source) & (samples["metric"] == metric)]
    return known(trial, counter.sort_values("t_ns", kind="stable"), f"{metric} of {source}")


def known(trial: TrialRow, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return `table` if it has rows and the trial's window is complete.

    Raises:
        RefusedError: It has no rows, or the window is incomplete.
    """
    if pd.isna(trial.t_begin_ns) or pd.isna(trial.t_end_ns):
        raise RefusedError("The trial ended before its window did.")
    if table.empty:
        raise RefusedError(f"No reading of {name}.")
    return table


def in_window(trial: TrialRow, table: pd.DataFrame) -> pd.DataFrame:
    """Return the readings between the window's begin and its end."""
    return table[table["t_ns"].between(trial.t_begin_ns or 0, trial.t_end_ns or 0)]
