"""The numbers of the lab, each one entry in `METRICS`; of one trial, and over trials.

Latencies are told of paced arrivals only (METHOD M6): with any other, a task is offered when the
system lets it be, and its wait is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from lab import measures
from lab.measures import Measure
from lab.model import Burst, Estimate, Flag, Paced, RoundTrip, Status
from lab.statistics import RefusedError, interval, unstable, variation
from lab.tables import EstimateRow, MetricRow, TrialRow

ARRIVALS = (Burst.kind, Paced.kind, RoundTrip.kind)
# A trial that ran out of time tells much, and to leave it out would flatter the slow.
USABLE = (Status.OK, Status.TIMEOUT)
CELL = [
    "label",
    "workload",
    "size",
    "arrival",
    "rate_hz",
    "gaps",
    "provider",
    "nodes",
    "cores_per_node",
    "workers_per_node",
]
LEVEL = 0.95


def _always(_trial: TrialRow) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a trial can have.

    `name` ends in its unit where it has one; `better` is ``"lower"`` or ``"higher"``; `about` is
    one sentence. Of a trial whose arrival is not in `arrivals`, or to which it does not apply,
    the number is not asked; where it cannot be told, `measure` raises `RefusedError`.
    """

    name: str
    unit: str
    better: str
    about: str
    measure: Measure
    arrivals: tuple[str, ...] = ARRIVALS
    applies: Callable[[TrialRow], bool] = _always


def _has_work(trial: TrialRow) -> bool:
    return trial.nominal_ns > 0


def _has_services(trial: TrialRow) -> bool:
    return trial.services != ""


def _span(
    name: str, about: str, instants: tuple[str, str], percents: tuple[int, ...], arrival: str
) -> Iterator[Metric]:
    """Make the percentiles of a duration from one instant to another."""
    for q in percents:
        measure = measures.percentile_of(*instants, q)
        yield Metric(f"{name}_p{q}", "s", "lower", f"p{q} of: {about}.", measure, (arrival,))


_TAIL = (50, 90, 95, 99)
_WAIT = "intended instant to first statement of the task"
_WHOLE = "intended instant to last statement of the task"

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "throughput_per_s",
            "1/s",
            "higher",
            "Rate of completions between the 10 % and the 90 % completion.",
            measures.throughput,
        ),
        Metric(
            "makespan_s",
            "s",
            "lower",
            "First submit call to last completion.",
            measures.makespan,
            (Burst.kind, RoundTrip.kind),
        ),
        Metric(
            "overhead_s_per_task",
            "s",
            "lower",
            "Worker-seconds a task beyond its calibrated work.",
            measures.overhead,
            (Burst.kind,),
        ),
        Metric(
            "efficiency",
            "1",
            "higher",
            "Share of the worker slots' time that was calibrated work.",
            measures.efficiency,
            (Burst.kind,),
            _has_work,
        ),
        Metric(
            "submit_s_p50", "s", "lower", "p50 of: submit call.", measures.submit_percentile(50)
        ),
        Metric(
            "submit_s_p99", "s", "lower", "p99 of: submit call.", measures.submit_percentile(99)
        ),
        *_span("queue_latency_s", _WAIT, ("t0_ns", "t3_ns"), _TAIL, Paced.kind),
        Metric(
            "queue_latency_s_mean",
            "s",
            "lower",
            f"Mean of: {_WAIT}.",
            measures.mean_of("t0_ns", "t3_ns"),
            (Paced.kind,),
        ),
        *_span("end_to_end_s", _WHOLE, ("t0_ns", "t4_ns"), _TAIL, Paced.kind),
        Metric(
            "end_to_end_s_mean",
            "s",
            "lower",
            f"Mean of: {_WHOLE}.",
            measures.mean_of("t0_ns", "t4_ns"),
            (Paced.kind,),
        ),
        Metric(
            "service_s_p50",
            "s",
            "lower",
            "p50 of: first to last statement of the task.",
            measures.service_median,
        ),
        *_span(
            "round_trip_s",
            "submit call to result in the submitter's hands",
            ("t0_ns", "t5_ns"),
            (50, 90, 99),
            RoundTrip.kind,
        ),
        *_span(
            "generator_lag_s",
            "intended instant to submit call",
            ("t0_ns", "t1_ns"),
            (99,),
            Paced.kind,
        ),
        Metric(
            "cpu_driver_s_per_task",
            "s",
            "lower",
            "CPU time of the driver a task, and of the workers that live in its process.",
            measures.cpu_of("driver"),
        ),
        Metric(
            "cpu_services_s_per_task",
            "s",
            "lower",
            "CPU time of the services a task.",
            measures.cpu_of("services"),
            applies=_has_services,
        ),
        Metric(
            "cpu_workers_s_per_task",
            "s",
            "lower",
            "CPU time of the worker processes a task.",
            measures.cpu_of("workers"),
        ),
        Metric(
            "lost_upper_95",
            "1",
            "lower",
            "Upper 95 % bound of the share of tasks lost or never finished.",
            measures.lost_upper,
        ),
    )
}


def trial_metrics(trial: TrialRow, executions: pd.DataFrame) -> list[MetricRow]:
    """Compute every metric that this attempt at a trial can have; a refusal is a row with why.

    Args:
        trial: The attempt's row; a row of the table read back, a Series, serves as well.
        executions: `TaskRow` columns of its window (phase ``measure``), a row an execution.
    """
    tasks = measures.one_row_a_task(executions)
    asked = [m for m in METRICS.values() if trial.arrival in m.arrivals and m.applies(trial)]
    return [_row(metric, trial, tasks) for metric in asked]


def _row(metric: Metric, trial: TrialRow, tasks: pd.DataFrame) -> MetricRow:
    value: float | None = None
    try:
        told = metric.measure(trial, tasks)
        value, bound, n, method = told.value, told.bound, told.n, told.method
    except RefusedError as refusal:
        bound, n, method = "", len(tasks), str(refusal)
    return MetricRow(
        trial_id=trial.trial_id,
        attempt=int(trial.attempt),
        metric=metric.name,
        value=value,
        bound=bound,
        unit=metric.unit,
        n=n,
        method=method,
        is_valid=int(_is_usable(trial.status, trial.flag) and value is not None),
    )


def _is_usable(status: str, flag: str) -> bool:
    return status in USABLE and flag != Flag.INVALID


def estimates(
    trials: pd.DataFrame, metrics: pd.DataFrame, analysis_id: str, *, with_noisy: bool
) -> list[EstimateRow]:
    """Estimate every metric of every cell over its trials, with intervals (METHOD M9).

    Of each trial the last attempt counts. Invalid, failed and refused ones are left out and
    counted; those that ran out of time stay, with their unfinished tasks. Without noisy ones this
    is the second headline of METHOD M23. A cell of which no trial can be used is a row without an
    estimate.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        analysis_id: What the rows are filed under.
        with_noisy: Whether trials flagged noisy take part.
    """
    last = trials.sort_values("attempt", kind="stable").drop_duplicates("trial_id", keep="last")
    of_trials = metrics.merge(last, on=["trial_id", "attempt"])
    in_cell = last.groupby(CELL, dropna=False).size().rename("in_cell").reset_index()
    table = of_trials.merge(in_cell, on=CELL)
    groups = table.groupby([*CELL, "metric"], dropna=False, sort=False)
    return [_over_trials(rows, analysis_id, with_noisy=with_noisy) for _, rows in groups]


def _over_trials(rows: pd.DataFrame, analysis_id: str, *, with_noisy: bool) -> EstimateRow:
    first, valid = rows.iloc[0], rows[rows["is_valid"] == 1]
    used = valid if with_noisy else valid[valid["flag"] != Flag.NOISY]
    found = _interval(used, rows)
    return EstimateRow(
        analysis_id=analysis_id,
        metric=first["metric"],
        label=first["label"],
        workload=first["workload"],
        size=int(first["size"]),
        arrival=first["arrival"],
        rate_hz=None if pd.isna(first["rate_hz"]) else float(first["rate_hz"]),
        gaps=first["gaps"],
        provider=first["provider"],
        nodes=int(first["nodes"]),
        cores_per_node=int(first["cores_per_node"]),
        workers_per_node=int(first["workers_per_node"]),
        estimate=found.value if found.n else None,
        bound=">" if (used["bound"] == ">").any() else "",
        ci_low=found.low,
        ci_high=found.high,
        ci_level=found.level,
        unit=first["unit"],
        n_trials=found.n,
        n_noisy=int((used["flag"] == Flag.NOISY).sum()),
        n_excluded=int(first["in_cell"]) - len(valid),
        method=found.method,
    )


def _interval(used: pd.DataFrame, rows: pd.DataFrame) -> Estimate:
    values = used["value"].astype("float64").tolist()
    if not values:
        refusals = [*rows.loc[rows["value"].isna(), "method"], "they are invalid, failed or noisy"]
        return Estimate(0.0, None, None, LEVEL, 0, f"no trial can be used: {refusals[0]}")
    found = interval(values, LEVEL)
    if bounds := int((used["bound"] == ">").sum()):
        # How far the true values lie above their bounds nobody knows, so no interval holds them.
        method = f"{found.method.partition(';')[0]}; {bounds} of {found.n} trials are lower bounds"
        found = replace(found, low=None, high=None, method=f"{method}: no interval")
    if unstable(values):
        mark = f"; unstable: trials vary by {variation(values):.0%}"
        found = replace(found, method=found.method + mark)
    return found
