"""Computes the derived tables: `metric` of each trial, `estimate` and `trend` over trials."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pandas as pd

from lab.analysis import capacity_estimates
from lab.analysis.capacity import capacities
from lab.analysis.disturbed import disturbed_estimates
from lab.analysis.estimates import estimates
from lab.analysis.metrics import registry
from lab.analysis.metrics.metric import RelativeMetric
from lab.analysis.parallel import MANY_TRIALS, parallel_map
from lab.analysis.sweeps import sweeps
from lab.core.defects import contained
from lab.core.model import Periodic, Status
from lab.planning.phases import UNINSTRUMENTED, Phase
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from lab.results.store import Store

Row = TypeVar("Row")


def compute(store: Store) -> list[str]:
    """Compute the tables `metric`, `estimate` and `trend` from the others and replace them.

    Returns a sentence for each part that is missing because of a defect of the lab.

    Raises:
        ResultsError: A table cannot be read or written.
    """
    trials = store.read("trial")
    # A skipped trial never began, so it has no tasks to compute from.
    trials = trials[trials.status != Status.SKIPPED]
    rows = _metrics_of_all(store, trials)
    name = store.folder.name
    sentences: list[str] = []

    def part(title: str, compute: Callable[[], list[Row]]) -> list[Row]:
        def leave_out(reason: str) -> list[Row]:
            sentences.append(f"Left out: {title}. {reason}")
            return []

        # A defect in one part must not cost the numbers of the others.
        return contained(compute, leave_out)

    # Read back, so that the analyses get the column types that a later report reads from the file.
    store.replace("metric", rows)
    table = store.read("metric")
    for metric in registry.METRICS.values():
        if isinstance(metric, RelativeMetric) and (
            relative := part(f"metric {metric.name}", partial(metric.compute, trials, table))
        ):
            rows += relative
            store.replace("metric", rows)
            table = store.read("metric")
    capacity_of = dict(part("capacities", lambda: [*capacities(trials, table).items()]))
    estimate_rows = [
        row
        for analysis, noisy in ((name, True), (f"{name}/without-noisy", False))
        for row in part(analysis, partial(estimates, trials, table, analysis, with_noisy=noisy))
    ]
    headlines = [row for row in estimate_rows if row.analysis_id == name]
    estimate_rows += part(
        "disturbed trials", lambda: disturbed_estimates(trials, table, name, headlines)
    )
    estimate_rows += part(
        "capacity estimates", lambda: capacity_estimates.estimates(trials, table, capacity_of, name)
    )
    store.replace("estimate", estimate_rows)
    store.replace("trend", part("trends", lambda: sweeps(trials, table, name)))
    return sentences


def _metrics_of_all(store: Store, trials: pd.DataFrame) -> list[MetricRow]:
    rows_by_trial = parallel_map(
        partial(metrics_of_trial, store),
        # Plain tuples, because the named tuples of pandas cannot be pickled for another process.
        list(trials.itertuples(index=False, name=None)),
        side_by_side=len(trials) >= MANY_TRIALS,
    )
    return [row for rows in rows_by_trial for row in rows]


def metrics_of_trial(store: Store, values: Any) -> list[MetricRow]:
    """Compute the metrics of one trial that was not skipped, from its row of the table `trial`."""
    # A table's null is pd.NA, which is neither true nor false; a row's null is None.
    cells: list[Any] = [None if value is pd.NA else value for value in values]
    row = TrialRow(*cells)
    folder = store.trial_folder(row.trial_id, row.attempt)
    tasks = store.read("task", folder, registry.TASK_COLUMNS)
    occurrences = store.read("firing", folder) if row.arrival == Periodic.kind else None
    samples = store.read("sample", folder)
    outcomes, hits = (store.read(t, folder) if row.fault else None for t in ("outcome", "fault"))
    window = tasks[tasks.phase == Phase.MEASURE]
    marks = tasks[tasks.phase.isin(UNINSTRUMENTED)]

    def measured() -> list[MetricRow]:
        return registry.trial_metrics(
            row, window, occurrences, samples, marks, outcomes=outcomes, hits=hits
        )

    # A refused metric is a row with its reason, so no table has a gap without an explanation.
    return contained(measured, lambda reason: registry.refused(row, reason))
