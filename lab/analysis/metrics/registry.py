"""Collects every metric in `METRICS`, and computes those of a trial.

A metric is defined where its function is: each module of this package, and each analysis of several
trials, has a function `metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis import capacity, reference_ratio
from lab.analysis.attempts import USABLE
from lab.analysis.metrics import (
    backlog,
    cost,
    faults,
    idle,
    latency,
    memory,
    schedule,
    startup,
    throughput,
    workflows,
)
from lab.analysis.metrics.metric import Metric, RelativeMetric
from lab.analysis.statistics import Value
from lab.core.defects import contained
from lab.core.model import COUNTED_FLAGS
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow

# The columns of tasks that metrics may use.
TASK_COLUMNS = ("task_id", "phase", "outcome", *latency.INSTANTS)
MODULES = (
    *(throughput, latency, cost, workflows, backlog, schedule, faults, memory, startup, idle),
    *(reference_ratio, capacity),
)
METRICS: Mapping[str, Metric | RelativeMetric] = {
    metric.name: metric for module in MODULES for metric in module.metrics()
}


def trial_metrics(  # noqa: PLR0913 (each is one table of the trial)
    trial: TrialRow,
    executions: pd.DataFrame,
    occurrences: pd.DataFrame | None = None,
    samples: pd.DataFrame | None = None,
    marks: pd.DataFrame | None = None,
    *,
    outcomes: pd.DataFrame | None = None,
    hits: pd.DataFrame | None = None,
) -> list[MetricRow]:
    """Compute every metric of one attempt at a trial; a refused metric is a row with the reason.

    Args:
        trial: The attempt's row, or a Series with the same columns.
        executions: `TaskRow` columns of the window (phase ``measure``), one row per execution.
        occurrences: `FiringRow` columns of a periodic trial.
        samples: `SampleRow` columns; without them, the metrics of that table are omitted.
        marks: `TaskRow` columns of the markers of the uninstrumented burst, if there was one.
        outcomes: `OutcomeRow` columns of a trial with a fault.
        hits: `FaultRow` columns of a trial with a fault.
    """
    tasks = latency.one_row_per_task(executions)
    rows: dict[str, Any] = {"task": tasks, "execution": executions, "firing": occurrences}
    rows["burst"] = tasks
    if marks is not None and len(marks):
        # `unrecorded` exists in this case only, so that its metrics have no row elsewhere.
        rows["burst"] = rows["unrecorded"] = throughput.add_marks(tasks, marks)
    if outcomes is not None:
        rows["outcome"] = outcomes
    if hits is not None:
        rows["service"] = faults.service(tasks, hits)
    if samples is not None:
        ended = np.sort(tasks["t4_ns"].dropna().to_numpy("int64"))
        rows["sample"] = samples.assign(n_done=np.searchsorted(ended, samples["t_ns"]))
    selected = [m for m in _of(trial) if m.table in rows]
    return [_row(m, trial, rows[m.table]) for m in selected if m.applies(trial)]


def refused(trial: TrialRow, reason: str) -> list[MetricRow]:
    """Return a row without a value and with the reason for every metric of the trial's arrival."""
    return [_metric_row(m, trial, reason, 0) for m in _of(trial)]


def _of(trial: TrialRow) -> list[Metric]:
    """Return the metrics of a trial's arrival that need no other trial."""
    measured = (metric for metric in METRICS.values() if isinstance(metric, Metric))
    return [metric for metric in measured if trial.arrival in metric.arrivals]


def _row(metric: Metric, trial: TrialRow, rows: pd.DataFrame) -> MetricRow:
    def measure() -> Value | str:
        result = metric.measure(trial, rows)
        # A nan would count as valid, and would end the estimates over the other trials.
        if not np.isfinite(result.value):
            return f"No number: the result is {result.value}; {result.method}"
        return result

    # Each metric alone: a defect in one costs its row, and not the report of the run.
    return _metric_row(metric, trial, contained(measure, str), len(rows))


def _metric_row(metric: Metric, trial: TrialRow, result: Value | str, n: int) -> MetricRow:
    """Return the row of a value, or of the reason why there is none with `n` rows of input."""
    if isinstance(result, str):
        value, bound, method = None, "", result
    else:
        value, bound, method, n = result.value, result.bound, result.method, result.n
    # The value stays in the row: the report shows that of a disturbed trial in brackets (M23).
    is_usable = trial.status in USABLE and trial.flag in COUNTED_FLAGS
    return MetricRow(
        trial_id=trial.trial_id,
        attempt=int(trial.attempt),
        metric=metric.name,
        value=value,
        bound=bound,
        unit=metric.unit,
        n=n,
        method=method,
        is_valid=int(is_usable and value is not None),
    )
