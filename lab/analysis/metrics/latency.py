"""Computes durations of single tasks: latencies, round trips, submit calls.

The wait of the report, `queue_latency_s_p99`, is percentile 99 of t3 - t0. The names of the other
metrics of this module are composed of a duration and a percentile in the same way.

A task is finished when one of its executions returned. Any other task is unfinished, whatever its
outcome: its latency has only a lower bound, the time to the end of the window (METHOD M6).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.analysis.metrics.metric import OFFERED, OPEN, Metric, MetricFunction
from lab.analysis.statistics import RefusedError, Seconds, Value, percentile
from lab.core.model import RateProbe, RoundTrip
from lab.results.schema import TrialRow

# Integers with nulls (Int64): after a year of uptime, a float rounds an instant to 4 ns.
INSTANTS = ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns"]
# The share of a quota's throttled periods above which latencies are refused (METHOD M22).
THROTTLED = 0.01


def one_row_per_task(executions: pd.DataFrame) -> pd.DataFrame:
    """Return for each task the execution that returned first, or else the one that started first.

    All instants of a row belong to one execution, so that
    ``t4 - t0 = (t1 - t0) + (t3 - t1) + (t4 - t3)``; t4 is null unless it returned.
    """
    tasks = executions[["task_id", "outcome", *INSTANTS]]
    # Only columns of another type, because a cast to the same type copies the column.
    if others := [name for name in INSTANTS if tasks[name].dtype != "Int64"]:
        tasks = tasks.astype(dict.fromkeys(others, "Int64"))
    # The end of an execution that raised is no answer, and must not shorten a latency.
    tasks["t4_ns"] = tasks["t4_ns"].where((tasks["outcome"] == "ok").to_numpy(dtype=bool))
    if tasks["task_id"].is_unique:
        return tasks
    ordered = tasks.sort_values(["t4_ns", "t3_ns"], kind="stable", na_position="last")
    return ordered.drop_duplicates("task_id").sort_index()


def durations(
    trial: TrialRow, tasks: pd.DataFrame, start: str, end: str
) -> tuple[Seconds, Seconds]:
    """Return durations from one instant to another in seconds: complete ones, and lower bounds.

    A task without an end has a lower bound. A task that never reached `start` has neither. If
    `start` is the intended instant, a task that was sent and has no row has the bound 0.
    """
    first, has_start = _instants(tasks[start])
    last, has_end = _instants(tasks[end])
    whole, open_ = has_start & has_end, has_start & ~has_end
    complete_s = (last[whole] - first[whole]) / 1e9
    end_ns = first[open_] if pd.isna(trial.t_end_ns) else int(trial.t_end_ns)
    bounds_s = np.maximum((end_ns - first[open_]) / 1e9, 0.0)
    # A task that no worker recorded still counts: leaving it out would hide the slowest ones (M6).
    n_missing = max(0, int(trial.n_sent) - len(tasks)) if start == "t0_ns" else 0
    return complete_s, np.concatenate([bounds_s, np.zeros(n_missing)])


def _instants(column_ns: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a column of instants as exact integers, and a mask of the values that are not null."""
    return column_ns.to_numpy("int64", na_value=0), column_ns.notna().to_numpy()


def percentile_of(start: str, end: str, q: float) -> MetricFunction:
    """Return the metric function: percentile `q` of the seconds from `start` to `end` (M11)."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        complete_s, bounds_s = durations(trial, tasks, start, end)
        return percentile(complete_s, q, bounds_s)

    return measure


def mean_of(start: str, end: str) -> MetricFunction:
    """Return the metric function: arithmetic mean of the seconds from `start` to `end`."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        complete_s, bounds_s = durations(trial, tasks, start, end)
        n = complete_s.size + bounds_s.size
        if not n:
            raise RefusedError("No mean of 0 tasks.")
        # Each bound is at most the true value, so the mean over both is a lower bound.
        mean_s = float(complete_s.sum() + bounds_s.sum()) / n
        if bounds_s.size:
            return Value(mean_s, ">", n, f"arithmetic mean; {bounds_s.size} of {n} unfinished")
        return Value(mean_s, "", n, "arithmetic mean")

    return measure


def on_whole_cpus(latency: MetricFunction) -> MetricFunction:
    """Refuse a latency of emulated nodes, which the emulation distorts (METHOD M22)."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        throttled = trial.throttle_ratio
        if trial.node_mode == "oversubscribed":
            raise RefusedError("No latency: the nodes need more CPUs than there are (METHOD M22).")
        # An unknown share is refused as well: nothing shows that the quota stopped no task.
        if trial.node_mode == "quota" and not (pd.notna(throttled) and throttled <= THROTTLED):
            share = "an unknown share" if pd.isna(throttled) else f"{throttled:.0%}"
            raise RefusedError(
                f"No latency: a quota stopped the nodes in {share} of its periods (METHOD M22)."
            )
        return latency(trial, tasks)

    return measure


def submit_percentile(q: float) -> MetricFunction:
    """Return the metric function: percentile `q` of t2 - t1; refused for a batch in one call."""
    submit_s = percentile_of("t1_ns", "t2_ns", q)

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        # One call has one duration, which is not the submit cost of each of its tasks.
        calls = tasks["t1_ns"].dropna()
        if len(calls) > 1 and calls.min() == calls.max():
            raise RefusedError(f"All {len(tasks)} tasks were submitted in one call.")
        return submit_s(trial, tasks)

    return measure


def service_median(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the median of t4 - t3 of the tasks that returned or were running at the end."""
    # A task that raised has ended, so it gives no lower bound of a service time.
    return percentile_of("t3_ns", "t4_ns", 50)(
        trial, tasks[tasks["outcome"].isin(["ok", "unfinished"])]
    )


def _span(
    name: str, about: str, instants: tuple[str, str], percents: tuple[int, ...], *arrivals: str
) -> Iterator[Metric]:
    """Yield the percentiles of the duration from one instant to another."""
    for q in percents:
        measure = on_whole_cpus(percentile_of(*instants, q))
        yield Metric(f"{name}_p{q}", "s", "lower", f"p{q} of: {about}.", measure, arrivals)


def _waits(name: str, end: str, about: str) -> Iterator[Metric]:
    """Yield the percentiles of a latency, and its mean."""
    yield from _span(name, about, ("t0_ns", end), (50, 90, 95, 99), *OPEN)
    mean = on_whole_cpus(mean_of("t0_ns", end))
    yield Metric(f"{name}_mean", "s", "lower", f"Mean of: {about}.", mean, OPEN)


def metrics() -> Iterator[Metric]:
    """Yield the metrics of single tasks; latencies for open loops only (METHOD M6)."""
    for q in (50, 99):
        about = f"p{q} of: submit call."
        yield Metric(f"submit_s_p{q}", "s", "lower", about, submit_percentile(q), OFFERED)
    yield from _waits("queue_latency_s", "t3_ns", "intended instant to first statement of the task")
    yield from _waits("end_to_end_s", "t4_ns", "intended instant to last statement of the task")
    about = "p50 of: first to last statement of the task."
    yield Metric("service_s_p50", "s", "lower", about, service_median)
    about, instants = "submit call to result received by the submitter", ("t0_ns", "t5_ns")
    yield from _span("round_trip_s", about, instants, (50, 90, 99), RoundTrip.kind)
    about, instants = "intended instant to submit call", ("t0_ns", "t1_ns")
    # For probes as well: a late generator is a reason to doubt their verdict (METHOD M7).
    yield from _span("generator_lag_s", about, instants, (99,), *OPEN, RateProbe.kind)
