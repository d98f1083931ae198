"""How long fresh workers take to be of use: from nothing to the first task finished."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lab.analysis.metrics.samples import Number
from lab.analysis.statistics import RefusedError, Value
from lab.results.schema import TrialRow

# A task that was taken sooner than this may have met a worker that was ready before it came.
READY_S = 0.25


def cold_start(trial: TrialRow, _samples: pd.DataFrame) -> Value:
    """Return the seconds from nothing to the first task finished, that task's own length apart.

    Of worker processes they count from their command's start. The submitter starts beside them:
    where its first task was taken at once, a worker may have been ready before that, and the
    value is an upper bound. Of pools they are the length of the call that makes them, and the
    time from the first submit call to the first statement of its task. What the lab does between
    the two is not in it. Files are in the page cache: an earlier trial has read them.
    """
    offered, started = trial.t_first_offer_ns, trial.t_first_start_ns
    if pd.isna(offered) or pd.isna(started):
        raise RefusedError("No task was seen to finish before the window.")
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

    Python and most of the system are imported by then. A system that imports it in a fork for each
    task does so only there, when it was ready already.
    """
    if pd.isna(trial.t_exec_ns):
        raise RefusedError("Its workers are the driver's, which had imported everything before.")
    imported = trial.t_first_import_ns
    if pd.isna(imported):
        raise RefusedError("No worker was seen to import the task's code.")
    method = "start of the workers' command to the import of the task's code"
    return Value((imported - trial.t_exec_ns) / 1e9, "", 1, method)


def numbers() -> Iterator[Number]:
    """Yield the numbers of a cold start."""
    yield Number(
        "cold_start_s",
        "s",
        "Fresh workers to their first task finished, its own length apart.",
        cold_start,
    )
    yield Number(
        "cold_import_s", "s", "Fresh workers to the import of the task's code.", cold_import
    )
