"""The numbers that a trial can have, each one entry in `METRICS`.

Latencies are told of open loops only (METHOD M6): with any other arrival, a task is offered when
the system lets it be, and its wait is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.metrics import backlog, latency, schedule, throughput, upkeep, workflows
from lab.analysis.metrics.latency import Measure
from lab.analysis.statistics import Value
from lab.core.defects import contained
from lab.core.model import Burst, Flag, Paced, Periodic, Probe, RoundTrip, Status, Step
from lab.results.schema import MetricRow, TrialRow

# Open loop; of probes no latency is told.
OPEN = (Paced.kind, Step.kind)
ARRIVALS = (Burst.kind, *OPEN, Probe.kind, RoundTrip.kind)
# A trial that ran out of time tells much, and to leave it out would flatter the slow.
USABLE = (Status.OK, Status.TIMEOUT)
CELL = [
    "label",
    "workload",
    "size",
    "arrival",
    "rate_hz",
    "gaps",
    "schedule",
    "shape",
    "n_planned",
    "provider",
    "nodes",
    "cores_per_node",
    "workers_per_node",
    "quota_cpus",
]
# What of a task a metric may rest on.
TASK_COLUMNS = ("task_id", "phase", "outcome", *latency.INSTANTS)


def _always(_trial: TrialRow) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a trial can have.

    `name` ends in its unit where it has one; `better` is ``"lower"`` or ``"higher"``; `about` is
    one sentence. Of a trial whose arrival is not in `arrivals`, or to which it does not apply,
    the number is not asked; where it cannot be told, `measure` raises `RefusedError`. It is given
    the trial's rows of `table`: of ``"task"`` once a task, of ``"execution"`` as often as it ran,
    of ``"sample"`` with the tasks finished by then, of ``"burst"`` once a task and with the marks
    of the burst without record if there was one; without such it has none of ``"unrecorded"``.
    """

    name: str
    unit: str
    better: str
    about: str
    measure: Measure
    arrivals: tuple[str, ...] = ARRIVALS
    applies: Callable[[TrialRow], bool] = _always
    table: str = "task"


def _has_work(trial: TrialRow) -> bool:
    return trial.nominal_ns > 0


def _has_services(trial: TrialRow) -> bool:
    return trial.services != ""


OF = {"": _always, "services": _has_services, "containers": lambda trial: trial.images != ""}


def _span(
    name: str, about: str, instants: tuple[str, str], percents: tuple[int, ...], *arrivals: str
) -> Iterator[Metric]:
    """Make the percentiles of a duration from one instant to another."""
    for q in percents:
        measure = latency.on_whole_cpus(latency.percentile_of(*instants, q))
        yield Metric(f"{name}_p{q}", "s", "lower", f"p{q} of: {about}.", measure, arrivals)


_LAG = "intended instant to submit call"


def _waits(name: str, end: str, about: str) -> Iterator[Metric]:
    """Make the percentiles of a latency, and its mean."""
    yield from _span(name, about, ("t0_ns", end), (50, 90, 95, 99), *OPEN)
    mean = latency.on_whole_cpus(latency.mean_of("t0_ns", end))
    yield Metric(f"{name}_mean", "s", "lower", f"Mean of: {about}.", mean, OPEN)


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "throughput_per_s",
            "1/s",
            "higher",
            "Rate of completions between the 10 % and the 90 % completion.",
            throughput.throughput,
            table="burst",
        ),
        Metric(
            "makespan_s",
            "s",
            "lower",
            "First submit call to last completion.",
            throughput.makespan,
            (Burst.kind, RoundTrip.kind),
            table="burst",
        ),
        *(
            Metric(name, unit, "lower", about, measure, (Burst.kind,), table=rows)
            for name, unit, about, rows, measure in throughput.numbers()
        ),
        Metric(
            "efficiency",
            "1",
            "higher",
            "Share of the worker slots' time that was calibrated work.",
            throughput.efficiency,
            (Burst.kind,),
            _has_work,
            table="burst",
        ),
        Metric("submit_s_p50", "s", "lower", "p50 of: submit call.", latency.submit_percentile(50)),
        Metric("submit_s_p99", "s", "lower", "p99 of: submit call.", latency.submit_percentile(99)),
        *_waits("queue_latency_s", "t3_ns", "intended instant to first statement of the task"),
        *_waits("end_to_end_s", "t4_ns", "intended instant to last statement of the task"),
        Metric(
            "service_s_p50",
            "s",
            "lower",
            "p50 of: first to last statement of the task.",
            latency.service_median,
        ),
        *_span(
            "round_trip_s",
            "submit call to result in the submitter's hands",
            ("t0_ns", "t5_ns"),
            (50, 90, 99),
            RoundTrip.kind,
        ),
        *_span("generator_lag_s", _LAG, ("t0_ns", "t1_ns"), (99,), *OPEN, Probe.kind),
        Metric(
            "cpu_driver_s_per_task",
            "s",
            "lower",
            "CPU time of the driver a task, and of the workers that live in its process.",
            latency.cpu_of("driver"),
        ),
        Metric(
            "cpu_services_s_per_task",
            "s",
            "lower",
            "CPU time of the services a task.",
            latency.cpu_of("services"),
            applies=_has_services,
        ),
        Metric(
            "cpu_workers_s_per_task",
            "s",
            "lower",
            "CPU time of the worker processes a task.",
            latency.cpu_of("workers"),
        ),
        Metric(
            "broker_commands_per_task",
            "1",
            "lower",
            "Commands that the servers carried out a task: see the column broker_commands.",
            latency.broker("commands"),
            applies=_has_services,
        ),
        Metric(
            "broker_bytes_per_task",
            "bytes",
            "lower",
            "Bytes that the servers received and sent a task, by their own count.",
            latency.broker("bytes"),
            applies=_has_services,
        ),
        Metric(
            "lost_upper_95",
            "1",
            "lower",
            "Upper 95 % bound of the share of tasks lost or never finished.",
            latency.lost_upper,
        ),
        *(
            Metric(name, unit, "lower", about, measure, (kind,), table=table)
            for kind, table, name, unit, about, measure in workflows.numbers()
        ),
        Metric(
            "first_run_s_mean",
            "s",
            "lower",
            "Mean of: schedule call to first run, which may be due a period later.",
            latency.mean_of("t1_ns", "t3_ns"),
            (Periodic.kind,),
        ),
        *(
            Metric(name, unit, "lower", about, measure, (*OPEN, Probe.kind))
            for name, unit, about, measure in backlog.numbers()
        ),
        *(
            Metric(name, unit, "lower", about, measure, (Periodic.kind,), table="occurrence")
            for name, unit, about, measure in schedule.numbers()
        ),
        *(
            Metric(n.name, n.unit, "lower", n.about, n.measure, (*n.arrivals,), OF[n.of], "sample")
            for n in upkeep.numbers()
        ),
    )
}


def last_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Keep of each trial its last attempt, which is the one that counts."""
    return trials.sort_values("attempt", kind="stable").drop_duplicates("trial_id", keep="last")


def trial_metrics(
    trial: TrialRow,
    executions: pd.DataFrame,
    occurrences: pd.DataFrame | None = None,
    samples: pd.DataFrame | None = None,
    marks: pd.DataFrame | None = None,
) -> list[MetricRow]:
    """Compute every metric that this attempt at a trial can have; a refusal is a row with why.

    Args:
        trial: The attempt's row; a row of the table read back, a Series, serves as well.
        executions: `TaskRow` columns of its window (phase ``measure``), a row an execution.
        occurrences: `OccurrenceRow` columns of a periodic trial.
        samples: `SampleRow` columns; without them, what rests on them is not asked.
        marks: `TaskRow` columns of the burst that was offered again without record, if it was.
    """
    tasks = latency.one_row_a_task(executions)
    rows: dict[str, Any] = {"task": tasks, "execution": executions, "occurrence": occurrences}
    rows["burst"] = tasks
    if marks is not None and len(marks):
        rows["burst"] = rows["unrecorded"] = throughput.with_marks(tasks, marks)
    if samples is not None:
        ended = np.sort(tasks["t4_ns"].dropna().to_numpy("int64"))
        rows["sample"] = samples.assign(n_done=np.searchsorted(ended, samples["t_ns"]))
    told = [m for m in METRICS.values() if trial.arrival in m.arrivals and m.table in rows]
    return [_row(m, trial, rows[m.table]) for m in told if m.applies(trial)]


def refused(trial: TrialRow, reason: str) -> list[MetricRow]:
    """Return a row without a value for every metric of an arrival, with one reason for all."""
    return [_filed(m, trial, reason, 0) for m in METRICS.values() if trial.arrival in m.arrivals]


def _row(metric: Metric, trial: TrialRow, rows: pd.DataFrame) -> MetricRow:
    def measure() -> Value | str:
        told = metric.measure(trial, rows)
        is_number = np.isfinite(told.value)
        return told if is_number else f"No number: the result is {told.value}; {told.method}"

    return _filed(metric, trial, contained(measure, str), len(rows))


def _filed(metric: Metric, trial: TrialRow, told: Value | str, n: int) -> MetricRow:
    value, bound, method = (
        (None, "", told) if isinstance(told, str) else (told.value, told.bound, told.method)
    )
    is_usable = trial.status in USABLE and trial.flag != Flag.INVALID
    return MetricRow(
        trial_id=trial.trial_id,
        attempt=int(trial.attempt),
        metric=metric.name,
        value=value,
        bound=bound,
        unit=metric.unit,
        n=n if isinstance(told, str) else told.n,
        method=method,
        is_valid=int(is_usable and value is not None),
    )
