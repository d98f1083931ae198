"""Defines every metric of a trial, each as one entry in `METRICS`.

Latencies are computed for open loops only (METHOD M6). With any other arrival, the backend decides
when a task is offered, so the wait before that would be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.metrics import backlog, faults, latency, schedule, throughput, upkeep, workflows
from lab.analysis.metrics.latency import MetricFunction
from lab.analysis.statistics import Value
from lab.core.arrivals import Burst, LoadLevel, Paced, Periodic, RateProbe, RoundTrip
from lab.core.defects import contained
from lab.core.model import COUNTED_FLAGS, Status
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow

# Open loops whose latency is reported; probes have no latency metrics.
OPEN = (Paced.kind, LoadLevel.kind)
ARRIVALS = (Burst.kind, *OPEN, RateProbe.kind, RoundTrip.kind)
# A trial that timed out is used: without it, slow backends would look better than they are.
USABLE = (Status.OK, Status.TIMEOUT)
# The columns of tasks that metrics may use.
TASK_COLUMNS = ("task_id", "phase", "outcome", *latency.INSTANTS)


def _always(_trial: TrialRow) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a trial.

    - `name` ends in the unit, if there is one; `better`: ``"lower"`` or ``"higher"``.
    - `measure` computes the value or raises `RefusedError`, if `arrivals` and `applies` fit.
    - `table`: the rows that `measure` gets: ``"task"`` (one per task), ``"execution"`` (one per
      execution), ``"firing"``, ``"sample"`` (with `n_done`, the tasks finished before),
      ``"burst"`` (one per task, with the markers of an uninstrumented burst), ``"unrecorded"`` (the
      same, but only if there was an uninstrumented burst), ``"outcome"``, ``"service"``
      (`faults.service`).
    - `is_share`: the value is k of n, and an estimate adds k and n over trials.
    """

    name: str
    unit: str
    better: str
    about: str
    measure: MetricFunction
    arrivals: tuple[str, ...] = ARRIVALS
    applies: Callable[[TrialRow], bool] = _always
    table: str = "task"
    is_share: bool = False


def _has_work(trial: TrialRow) -> bool:
    return trial.nominal_ns > 0


def _has_services(trial: TrialRow) -> bool:
    return trial.services != ""


OF = {"": _always, "services": _has_services, "containers": lambda trial: trial.images != ""}
OF["fault"] = lambda trial: trial.fault != ""


def _span(
    name: str, about: str, instants: tuple[str, str], percents: tuple[int, ...], *arrivals: str
) -> Iterator[Metric]:
    """Yield the percentiles of the duration from one instant to another."""
    for q in percents:
        measure = latency.on_whole_cpus(latency.percentile_of(*instants, q))
        yield Metric(f"{name}_p{q}", "s", "lower", f"p{q} of: {about}.", measure, arrivals)


_LAG = "intended instant to submit call"


def _waits(name: str, end: str, about: str) -> Iterator[Metric]:
    """Yield the percentiles of a latency, and its mean."""
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
            "submit call to result received by the submitter",
            ("t0_ns", "t5_ns"),
            (50, 90, 99),
            RoundTrip.kind,
        ),
        *_span("generator_lag_s", _LAG, ("t0_ns", "t1_ns"), (99,), *OPEN, RateProbe.kind),
        Metric(
            "cpu_driver_s_per_task",
            "s",
            "lower",
            "CPU time per task of the driver and of the workers in its process.",
            latency.cpu_of("driver"),
        ),
        Metric(
            "cpu_services_s_per_task",
            "s",
            "lower",
            "CPU time of the servers per task.",
            latency.cpu_of("services"),
            applies=_has_services,
        ),
        Metric(
            "cpu_workers_s_per_task",
            "s",
            "lower",
            "CPU time of the worker processes per task.",
            latency.cpu_of("workers"),
        ),
        Metric(
            "broker_commands_per_task",
            "1",
            "lower",
            "Commands that the servers executed per task: see the column broker_commands.",
            latency.broker("commands"),
            applies=_has_services,
        ),
        Metric(
            "broker_bytes_per_task",
            "bytes",
            "lower",
            "Bytes that the servers received and sent per task, from their counters.",
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
            "schedule_to_first_run_s_mean",
            "s",
            "lower",
            "Mean of: schedule call to first firing, which may be due a period later.",
            latency.mean_of("t1_ns", "t3_ns"),
            (Periodic.kind,),
        ),
        *(
            Metric(name, unit, "lower", about, measure, (*OPEN, RateProbe.kind))
            for name, unit, about, measure in backlog.numbers()
        ),
        *(
            Metric(name, unit, "lower", about, measure, (Periodic.kind,), table="firing")
            for name, unit, about, measure in schedule.numbers()
        ),
        *(
            Metric(n.name, n.unit, n.better, n.about, n.measure, OPEN, OF["fault"], *n[5:])
            for n in faults.numbers()
        ),
        *(
            Metric(n.name, n.unit, "lower", n.about, n.measure, (*n.arrivals,), OF[n.of], "sample")
            for n in upkeep.numbers()
        ),
    )
}


def last_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt at each trial, the only one that is analysed."""
    return trials.sort_values("attempt", kind="stable").drop_duplicates("trial_id", keep="last")


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
    tasks = latency.one_row_a_task(executions)
    rows: dict[str, Any] = {"task": tasks, "execution": executions, "firing": occurrences}
    rows["burst"] = tasks
    if marks is not None and len(marks):
        rows["burst"] = rows["unrecorded"] = throughput.add_marks(tasks, marks)
    if outcomes is not None:
        rows["outcome"] = outcomes
    if hits is not None:
        rows["service"] = faults.service(tasks, hits)
    if samples is not None:
        ended = np.sort(tasks["t4_ns"].dropna().to_numpy("int64"))
        rows["sample"] = samples.assign(n_done=np.searchsorted(ended, samples["t_ns"]))
    selected = [m for m in METRICS.values() if trial.arrival in m.arrivals and m.table in rows]
    return [_row(m, trial, rows[m.table]) for m in selected if m.applies(trial)]


def refused(trial: TrialRow, reason: str) -> list[MetricRow]:
    """Return a row without a value and with the reason for every metric of the trial's arrival."""
    selected = [m for m in METRICS.values() if trial.arrival in m.arrivals]
    return [_metric_row(m, trial, reason, 0) for m in selected]


def _row(metric: Metric, trial: TrialRow, rows: pd.DataFrame) -> MetricRow:
    def measure() -> Value | str:
        result = metric.measure(trial, rows)
        if not np.isfinite(result.value):
            return f"No number: the result is {result.value}; {result.method}"
        return result

    return _metric_row(metric, trial, contained(measure, str), len(rows))


def _metric_row(metric: Metric, trial: TrialRow, result: Value | str, n: int) -> MetricRow:
    """Return the row of a value, or of the reason why there is none with `n` rows of input."""
    if isinstance(result, str):
        value, bound, method = None, "", result
    else:
        value, bound, method, n = result.value, result.bound, result.method, result.n
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
