"""The tables that are made from others: numbers of each trial, and estimates over trials."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pandas as pd

from lab import ceilings, limits, metrics
from lab.capacity import capacities, loads
from lab.defects import contained
from lab.estimates import estimates
from lab.model import Periodic, Status
from lab.side_by_side import MANY_TRIALS, mapped
from lab.store import Store
from lab.tables import MetricRow, TrialRow
from lab.tasks import AGAIN
from lab.trends import trends

Row = TypeVar("Row")


def derive(store: Store) -> list[str]:
    """Make the tables `metric`, `estimate` and `trend` anew from the others.

    Returns a sentence for each part that a defect of the lab left out.

    Raises:
        ResultsError: A table cannot be read or written.
    """
    trials = store.read("trial")
    trials = trials[trials.status != Status.SKIPPED]
    rows = _numbers_of_all(store, trials)
    name, sentences = store.folder.name, list[str]()

    def part(what: str, make: Callable[[], list[Row]]) -> list[Row]:
        def refuse(reason: str) -> list[Row]:
            sentences.append(f"Left out: {what}. {reason}")
            return []

        return contained(make, refuse)

    rows += part("shares of the ceilings", lambda: ceilings.shares(trials, rows))
    store.replace("metric", rows)
    table = store.read("metric")
    found = dict(part("capacities", lambda: [*capacities(trials, table).items()]))
    if of_ladder := part("loads", lambda: loads(trials, table, found)):
        store.replace("metric", [*rows, *of_ladder])
        table = store.read("metric")
    made = [
        row
        for analysis, noisy in ((name, True), (f"{name}/without-noisy", False))
        for row in part(analysis, partial(estimates, trials, table, analysis, with_noisy=noisy))
    ]
    made += part("limits", lambda: limits.estimates(trials, table, found, name))
    store.replace("estimate", made)
    store.replace("trend", part("trends", lambda: trends(trials, table, name)))
    return sentences


def _numbers_of_all(store: Store, trials: pd.DataFrame) -> list[MetricRow]:
    of_trials = mapped(
        partial(numbers, store),
        list(trials.itertuples(index=False, name=None)),
        side_by_side=len(trials) >= MANY_TRIALS,
    )
    return [row for of_one in of_trials for row in of_one]


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
    return contained(
        lambda: metrics.trial_metrics(row, window, occurrences, samples, marks),
        lambda reason: metrics.refused(row, reason),
    )
