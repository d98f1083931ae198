"""Computes the cold start: the time from the start of the workers to their first finished task."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lab.analysis.metrics.metric import Metric
from lab.analysis.metrics.samples import of_samples
from lab.analysis.statistics import RefusedError, Value
from lab.results.schema import TrialRow

# If the first task waited less than this, a worker may have been ready before it was submitted.
READY_S = 0.25


def cold_start(trial: TrialRow, _samples: pd.DataFrame) -> Value:
    """Return the seconds from no worker to the first finished task, without that task's duration.

    For worker processes, the time starts with the workers' command. The driver starts at the same
    time; if its first task started at once, a worker may have been ready before it, and the value
    is an upper bound. For pools, the value is the duration of the call that creates the pool, plus
    the time from the first submit call to the first statement of its task; the lab's work between
    the two is excluded. Files are in the page cache, because an earlier trial has read them.

    Raises:
        RefusedError: No task finished before the window.
    """
    offered, started = trial.t_first_offer_ns, trial.t_first_start_ns
    if pd.isna(offered) or pd.isna(started):
        raise RefusedError("No task finished before the window.")
    wait_s = (started - offered) / 1e9
    if pd.isna(trial.t_exec_ns):
        called_s = float(trial.start_call_ns or 0) / 1e9
        return Value(called_s + wait_s, "", 1, "start of the pool + submit to the first task")
    cold_s = (started - trial.t_exec_ns) / 1e9
    method = "start of the workers' command to the first task"
    if wait_s < READY_S:
        method += f"; it waited {wait_s * 1e3:.0f} ms, so a worker may have been ready before"
        return Value(cold_s, "<", 1, method)
    return Value(cold_s, "", 1, method)


def cold_import(trial: TrialRow, _samples: pd.DataFrame) -> Value:
    """Return the seconds from the start of the worker's command to its import of the task's code.

    The time includes the start of Python and the import of most of the backend. A backend that
    forks for each task imports the task's code in the fork, after the worker is ready.

    Raises:
        RefusedError: The workers are in the driver, or no worker recorded the import.
    """
    if pd.isna(trial.t_exec_ns):
        raise RefusedError("The workers are in the driver, which has imported the task's code.")
    imported = trial.t_first_import_ns
    if pd.isna(imported):
        raise RefusedError("No worker recorded the import of the task's code.")
    method = "start of the workers' command to the import of the task's code"
    return Value((imported - trial.t_exec_ns) / 1e9, "", 1, method)


def metrics() -> Iterator[Metric]:
    """Yield the metrics of the cold start."""
    # Reads no sample; the helper gives it the arrivals of idle trials as well (METHOD M25).
    yield of_samples(
        "cold_start_s",
        "s",
        "From the start of the workers to their first finished task, without its duration.",
        cold_start,
    )
    yield of_samples(
        "cold_import_s",
        "s",
        "From the start of the workers to their import of the task's code.",
        cold_import,
    )
