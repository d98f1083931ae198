"""Whether a schedule was kept: runs in the ledger against nominal instants (METHOD M26).

Pure functions; nothing here asks the system under test. A run belongs to the occurrence in whose
period it starts, where a period begins a tenth of itself before its instant: so a run may be early
by that much, and late by nine tenths. The first run in a period keeps the occurrence, each further
one doubles it, and an occurrence without any is missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lab.core import fire_times
from lab.core.model import Job
from lab.core.outcomes import Occurrence

# The phase of an interval is that of the most punctual of this many first runs: the very first
# may be late for once, and by the tenth a drift would show.
OPENING_RUNS = 5
TYPES = {
    "trial_id": "str",
    "job": "int64",
    "k": "int64",
    "nominal_ns": "int64",
    "started_ns": "Int64",
    "finished_ns": "Int64",
    "error_ns": "Int64",
    "verdict": "str",
    "overlaps": "int64",
}


def judge(
    jobs: Sequence[Job],
    tasks: pd.DataFrame,
    n_occurrences: int,
    window_ns: tuple[int, int],
    wall_offset_ns: int,
) -> pd.DataFrame:
    """Match every run with the occurrence that it keeps.

    Args:
        jobs: What was specified.
        tasks: `TaskRow` columns, a row an execution.
        n_occurrences: How many each job owed.
        window_ns: Begin and end of the window; what started later does not count.
        wall_offset_ns: The wall clock minus CLOCK_MONOTONIC.

    Returns:
        `OccurrenceRow` columns: by job and occurrence, the runs of each in their order.
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
    # As objects first: beside a null, pandas would make floats of nanoseconds.
    return pd.DataFrame(rows, columns=list(TYPES), dtype="object").astype(TYPES)


def _of_job(
    job: Job, runs: pd.DataFrame, n: int, window_ns: tuple[int, int], wall_offset_ns: int
) -> list[tuple[Any, ...]]:
    begin, end = window_ns
    starts = runs["t3_ns"].to_numpy("int64")
    ends = runs["t4_ns"].to_numpy("float64", na_value=np.inf)
    overlaps = starts[1:] < np.maximum.accumulate(ends)[:-1]
    overlaps = np.concatenate([np.zeros(min(1, len(starts)), bool), overlaps])
    due = fire_times.due_ns(job, _opening(job, starts, begin), begin, n, wall_offset_ns)
    edges = fire_times.edges_ns(due)
    slots = np.searchsorted(starts, edges)
    rows: list[tuple[Any, ...]] = []
    for k in range(n):
        own = range(slots[k], slots[k + 1])
        if edges[k + 1] > end and not own:
            break  # the window ended before this occurrence's period, so it may yet be kept
        if not own:
            rows.append((k, due[k], None, None, None, str(Occurrence.MISSED), 0))
        for place in own:
            error = int(starts[place]) - due[k]
            # The phase of an interval is the system's own.
            kept = Occurrence.EARLY if error < 0 and job.cron else Occurrence.KEPT
            verdict = kept if place == own[0] else Occurrence.DOUBLED
            finished = None if np.isinf(ends[place]) else int(runs["t4_ns"].iloc[place])
            rows.append(
                (k, due[k], starts[place], finished, error, str(verdict), int(overlaps[place]))
            )
    return rows


def _opening(job: Job, starts: np.ndarray, begin_ns: int) -> int:
    """Return the start of the first run, or of an interval's phase; the begin where none ran."""
    if not len(starts):
        return begin_ns
    first = int(starts[0])
    if not job.every_s:
        return first
    period = round(job.every_s * 1e9)
    late = [(int(start) - first + period // 2) % period - period // 2 for start in starts]
    return first + min(late[:OPENING_RUNS])
