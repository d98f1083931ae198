"""The tables that are made from others: numbers of each trial, and estimates over trials."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lab import ceilings, limits, metrics
from lab.capacity import capacities, loads
from lab.estimates import estimates
from lab.model import Periodic, Status
from lab.side_by_side import MANY_TRIALS, mapped
from lab.store import Store
from lab.tables import MetricRow, TrialRow
from lab.tasks import AGAIN
from lab.trends import trends


def derive(store: Store) -> None:
    """Make the tables `metric`, `estimate` and `trend` anew from the others."""
    trials = store.read("trial")
    trials = trials[trials.status != Status.SKIPPED]
    of_trials = mapped(
        partial(numbers, store),
        list(trials.itertuples(index=False, name=None)),
        side_by_side=len(trials) >= MANY_TRIALS,
    )
    rows = [row for of_one in of_trials for row in of_one]
    rows += ceilings.shares(trials, rows)
    store.replace("metric", rows)
    table, name = store.read("metric"), store.folder.name
    found = capacities(trials, table)
    if of_ladder := loads(trials, table, found):
        store.replace("metric", [*rows, *of_ladder])
        table = store.read("metric")
    with_noisy = estimates(trials, table, name, with_noisy=True)
    without = estimates(trials, table, f"{name}/without-noisy", with_noisy=False)
    bends = limits.estimates(trials, table, found, name)
    store.replace("estimate", [*with_noisy, *without, *bends])
    store.replace("trend", trends(trials, table, name))


def numbers(store: Store, values: Any) -> list[MetricRow]:
    """Compute the metrics of one row of the table `trial`, which was not skipped."""
    # A null of a table is pd.NA, which is neither true nor false; of a row it is None.
    known: list[Any] = [None if value is pd.NA else value for value in values]
    row = TrialRow(*known)
    folder = store.trial_folder(row.trial_id, row.attempt)
    tasks = store.read("task", folder, metrics.TASK_COLUMNS)
    occurrences = store.read("occurrence", folder) if row.arrival == Periodic.kind else None
    samples = store.read("sample", folder)
    window = tasks[tasks.phase == "measure"]
    marks = tasks[tasks.phase.isin(AGAIN)]
    return metrics.trial_metrics(row, window, occurrences, samples, marks)
