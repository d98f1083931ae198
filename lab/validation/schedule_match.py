"""Matches the firings of jobs in the ledger with the nominal instants (METHOD M26).

Pure functions of the records; the backend is not queried. A firing belongs to the occurrence in
whose period it starts. A period begins a tenth of its length before its instant, so a firing may be
early by a tenth of a period, and late by nine tenths. The first firing in a period keeps the
occurrence, each further one doubles it, and an occurrence without any firing is missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lab.core import fire_times
from lab.core.model import Job
from lab.core.outcomes import FiringOutcome

# The phase of an interval is that of the most punctual among this many first firings: the first one
# may be late by accident, and over ten firings a drift would already be visible.
OPENING_RUNS = 5
TYPES = {
    "trial_id": "str",
    "job": "int64",
    "k": "int64",
    "nominal_ns": "int64",
    "started_ns": "Int64",
    "finished_ns": "Int64",
    "error_ns": "Int64",
    "outcome": "str",
    "overlaps": "int64",
}


def match_firings(
    jobs: Sequence[Job],
    tasks: pd.DataFrame,
    n_occurrences: int,
    window_ns: tuple[int, int],
    wall_offset_ns: int,
) -> pd.DataFrame:
    """Match every firing with its occurrence.

    Args:
        jobs: The jobs of the trial.
        tasks: `TaskRow` columns, one row per execution.
        n_occurrences: The number of occurrences due for each job.
        window_ns: Begin and end of the window; firings that start later are ignored.
        wall_offset_ns: The wall clock minus CLOCK_MONOTONIC.

    Returns:
        `FiringRow` columns, sorted by job, occurrence and start of the firing.
    """
    trial_id = tasks["trial_id"].iloc[0] if len(tasks) else ""
    started = tasks[(tasks["t3_ns"] <= window_ns[1]).fillna(value=False)]
    runs = dict(list(started.sort_values("t3_ns").groupby("task_id")))
    none = started.iloc[:0]
    rows = [
        (trial_id, job.id, *row)
        for job in jobs
        for row in _of_job(job, runs.get(job.id, none), n_occurrences, window_ns, wall_offset_ns)
    ]
    # Objects first, because pandas turns nanoseconds beside a null into floats.
    return pd.DataFrame(rows, columns=list(TYPES), dtype="object").astype(TYPES)


def _of_job(
    job: Job, runs: pd.DataFrame, n: int, window_ns: tuple[int, int], wall_offset_ns: int
) -> list[tuple[Any, ...]]:
    begin, end = window_ns
    starts = runs["t3_ns"].to_numpy("int64")
    # A firing that did not finish runs for ever here, and overlaps with each later one.
    ends = runs["t4_ns"].to_numpy("float64", na_value=np.inf)
    # The latest end so far: a long firing may outlast the one after it.
    overlaps = starts[1:] < np.maximum.accumulate(ends)[:-1]
    overlaps = np.concatenate([np.zeros(min(1, len(starts)), bool), overlaps])
    due = fire_times.due_ns(job, _opening(job, starts, begin), begin, n, wall_offset_ns)
    edges = fire_times.period_boundaries_ns(due)
    slots = np.searchsorted(starts, edges)
    rows: list[tuple[Any, ...]] = []
    for k in range(n):
        places = range(slots[k], slots[k + 1])
        if edges[k + 1] > end and not places:
            break  # the window ended within this occurrence's period, so its result is unknown
        if not places:
            rows.append((k, due[k], None, None, None, str(FiringOutcome.MISSED), 0))
        for place in places:
            error = int(starts[place]) - due[k]
            # Only a cron job can be early: the backend chooses the phase of an interval.
            judged = FiringOutcome.EARLY if error < 0 and job.cron else FiringOutcome.FIRED
            if place != places[0]:
                judged = FiringOutcome.DOUBLED
            # From the table and not from `ends`, because floats round nanoseconds.
            finished = None if np.isinf(ends[place]) else int(runs["t4_ns"].iloc[place])
            rows.append(
                (k, due[k], starts[place], finished, error, str(judged), int(overlaps[place]))
            )
    return rows


def _opening(job: Job, starts: np.ndarray, begin_ns: int) -> int:
    """Return the start of the first firing, or of an interval's phase; else that of the window."""
    if not len(starts):
        return begin_ns
    first = int(starts[0])
    if not job.every_s:
        return first
    period = round(job.every_s * 1e9)
    # Between minus and plus half a period: the first firing may be late, and others then earlier.
    lags = [(int(start) - first + period // 2) % period - period // 2 for start in starts]
    return first + min(lags[:OPENING_RUNS])
