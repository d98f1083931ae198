"""Computes the metrics of bursts: throughput, makespan, and the cost of a task in worker-seconds.

If the burst was submitted again without instrumentation, throughput and makespan are those of the
uninstrumented burst (METHOD M19).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lab.analysis.metrics.latency import mean_of, one_row_per_task
from lab.analysis.metrics.metric import Metric
from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Burst, RoundTrip
from lab.planning.phases import Phase
from lab.results.schema import TrialRow
from lab.worker import user_function

THROUGHPUT_FLOOR = 20
UNCERTAIN = (
    "The duration of the function is uncertain, because its calls before the run were disturbed or "
    "failed, so its work cannot be subtracted. See: framework_s_per_task"
)
# The repeated burst runs only where markers lowered the rate of the first one (METHOD M19).
OF_RATE = (Phase.REPEATED, Phase.UNRECORDED)


def metrics() -> Iterator[Metric]:
    """Yield the metrics of rate and length, and those of bursts only."""
    yield Metric(
        "throughput_per_s",
        "1/s",
        "higher",
        "Rate of completions between the 10 % and the 90 % completion.",
        throughput,
        table="burst",
    )
    yield Metric(
        "makespan_s",
        "s",
        "lower",
        "First submit call to last completion.",
        makespan,
        (Burst.kind, RoundTrip.kind),
        table="burst",
    )
    for name, about, rows, measure in (
        ("worker", "Worker-seconds per task, including its work.", "burst", worker_time),
        ("overhead", "Worker-seconds per task beyond its work.", "burst", overhead),
        # The next two need t3 of every task, so they are of the recorded burst (METHOD M19).
        ("interference", "Seconds that a task runs beyond its work.", "task", interference),
        ("framework", "Worker-seconds per task in which it does not run.", "task", framework),
    ):
        full = f"{name}_s_per_task"
        yield Metric(full, "s", "lower", about, measure, (Burst.kind,), table=rows)
    yield Metric(
        "instrumentation_overhead",
        "1",
        "lower",
        "Upper bound of the slowdown caused by recording, X_off / X_on - 1.",
        instrumentation_overhead,
        (Burst.kind,),
        table="burst",
    )
    yield Metric(
        "record_overhead",
        "1",
        "lower",
        "Relative gain of throughput without instrumentation, X_off / X_on - 1.",
        record_overhead,
        (Burst.kind,),
        table="unrecorded",
    )
    yield Metric(
        "efficiency",
        "1",
        "higher",
        "Share of the worker slots' time that was calibrated work.",
        efficiency,
        (Burst.kind,),
        lambda trial: trial.nominal_ns > 0,
        table="burst",
    )


def add_marks(tasks: pd.DataFrame, marks: pd.DataFrame) -> pd.DataFrame:
    """Add the markers of uninstrumented bursts to `one_row_per_task` of the recorded burst.

    Each row has its phase. See `lab.driver.uninstrumented`.
    """
    markers = one_row_per_task(marks)
    markers = markers.assign(phase=marks["phase"].loc[markers.index])
    return pd.concat([tasks.assign(phase=str(Phase.MEASURE)), markers], ignore_index=True)


def _representative(
    trial: TrialRow, burst: pd.DataFrame, phases: Sequence[Phase]
) -> tuple[pd.DataFrame, int, float]:
    """Return the rows that represent a burst, their expected number, and the tasks per row.

    The rows are the markers of the first of `phases` that ran (METHOD M19), otherwise all tasks.
    """
    for phase in phases if "phase" in burst else ():
        marks = burst[burst["phase"] == phase]
        if len(marks):
            # Most tasks have no row; a marker's id is its index, and the last task is one.
            n_offered = int(marks["task_id"].max()) - phase.first_task + 1
            return marks, len(marks), n_offered / len(marks)
    # A lost task may have no row at all, and has to count as offered.
    return burst, max(len(burst), int(trial.n_sent)), 1.0


def throughput(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the rate of completions between the 10 % and the 90 % completion (METHOD M8).

    The shares are of all tasks, so that lost tasks do not increase the rate. If there was an
    uninstrumented burst, its markers are used; each represents the tasks since the previous one.
    """
    tasks, n, each = _representative(trial, tasks, OF_RATE)
    low, high = -(-n // 10), -(-9 * n // 10)
    if n < THROUGHPUT_FLOOR:
        raise RefusedError(f"Throughput needs {THROUGHPUT_FLOOR} tasks; there are {n}.")
    done = np.sort(tasks["t4_ns"].dropna().to_numpy("int64"))
    if done.size < high:
        raise RefusedError(f"Only {done.size} of {n} tasks finished: no 90 % completion.")
    span_s = (done[high - 1] - done[low - 1]) / 1e9
    if span_s <= 0:
        raise RefusedError(f"The middle {high - low} tasks finished within one tick of the clock.")
    method = "rate from the 10 % to the 90 % completion"
    if each > 1:
        method += f", one task in {each:g} recorded"
    return Value(float(each * (high - low) / span_s), "", round(each * n), method)


def makespan(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the seconds from the first submit call to the last completion."""
    # Not the repeated burst, whose length is that of many times as many tasks.
    tasks, n, each = _representative(trial, tasks, (Phase.UNRECORDED,))
    # The first submitted task of an uninstrumented burst has no record; the due instant of the
    # markers is the instant of its submit.
    first = tasks["t1_ns" if each == 1 else "t0_ns"].min()
    done = tasks["t4_ns"].dropna()
    if pd.isna(first) or not len(done):
        raise RefusedError(f"No makespan: none of {n} tasks finished.")
    if len(done) == n:
        last = float(done.max() - first) / 1e9
        return Value(last, "", round(each * n), "last completion - first submit")
    # Markers are offered after the end of the window.
    end = done.max() if pd.isna(trial.t_end_ns) else max(done.max(), trial.t_end_ns)
    return Value(float(end - first) / 1e9, ">", n, f"{n - len(done)} of {n} unfinished")


def worker_time(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds per task, ``P T / n``: its work and all overhead."""
    total = _complete(makespan(trial, tasks))
    return Value(
        trial.workers * total.value / total.n, "", total.n, f"P T / n, P = {trial.workers}"
    )


def overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds per task beyond its work, ``(P T - n w) / n`` (METHOD M17a).

    T is the makespan, P the number of worker slots, n the number of tasks, and w the duration of
    the task's work at the speed of the CPU before the trial (`work_ns`). A task without a size does
    nothing (noop): w is 0, and the whole time is overhead.

    Raises:
        RefusedError: The workload does not state how long a task of its size takes.
    """
    work_s = _work_s(trial)
    spent = worker_time(trial, tasks)
    method = f"(P T - n w) / n, P = {trial.workers}, w = {work_s:g} s"
    # Not cut at 0: below it, the CPU was faster than at the calibration, which the report states.
    return Value(spent.value - work_s, "", spent.n, method)


def efficiency(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the share of the worker slots' time that was work, ``n w / (P T)`` (METHOD M17a)."""
    work_s = _work_s(trial)
    total = _complete(makespan(trial, tasks))
    method = f"n w / (P T), P = {trial.workers}"
    return Value(total.n * work_s / (trial.workers * total.value), "", total.n, method)


def instrumentation_overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return an upper bound of the slowdown by recording, ``X_off / X_on - 1`` (METHOD M19).

    All tasks are recorded; in an uninstrumented burst, only the markers.

    Recording a task costs c, measured in a loop before the block. Each of p processes has ``p / X``
    for one task, so ``H = c / (p / X - c)``. It is an upper bound, because a process may also wait,
    and because the driver's part of c counts as if it were in the worker's process. All workers of
    one process share its interpreter lock, so they count as one process.
    """
    if pd.isna(trial.instrumentation_ns):
        raise RefusedError(
            "Not measured: this trial ran outside a campaign, or the instrumentation cost of its "
            "block could not be measured. The table `baseline` has the reason."
        )
    rate = throughput(trial, tasks)
    processes = 1 if pd.isna(trial.worker_processes) else int(trial.worker_processes)
    p, (_, _, each) = min(processes, int(trial.workers)), _representative(trial, tasks, OF_RATE)
    cost_s = float(trial.instrumentation_ns) / 1e9 / each
    rest_s = p / rate.value - cost_s
    method = f"at most c / (p / X - c), c = {cost_s * 1e6:.2f} us before the block, p = {p}"
    # H is above 1 from here on and grows without limit; for a negative rest it would be a gain.
    if rest_s <= cost_s:
        return Value(1.0, ">", rate.n, f"recording takes most of a task's time; {method}")
    return Value(cost_s / rest_s, "", rate.n, method)


def record_overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the relative gain of throughput without instrumentation, ``X_off / X_on - 1``.

    Both bursts ran in the same processes, the recorded one first (METHOD M19).
    """
    # Without `phase`, `throughput` takes all tasks and looks for no markers.
    recorded = tasks[tasks["phase"] == Phase.MEASURE].drop(columns="phase")
    off, on = throughput(trial, tasks), throughput(trial, recorded)
    return Value(off.value / on.value - 1, "", off.n, "X_off / X_on - 1 of the trial's two bursts")


def interference(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the time by which a task runs longer than its work, ``S_insitu - w`` (METHOD M17a).

    S_insitu is the mean of t4 - t3. Interference and `framework` add up to the overhead of the
    recorded burst: ``P T / n = w + (S_insitu - w) + (P T / n - S_insitu)``.
    """
    work_s, in_place = _work_s(trial), _in_place(trial, tasks)
    return Value(in_place.value - work_s, "", in_place.n, f"mean of t4 - t3 - w, w = {work_s:g} s")


def framework(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds per task in which it does not run, ``P T / n - S_insitu`` (M17a)."""
    spent = worker_time(trial, tasks)
    return Value(spent.value - _in_place(trial, tasks).value, "", spent.n, "P T / n - mean t4 - t3")


def _in_place(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    return _complete(mean_of("t3_ns", "t4_ns")(trial, tasks))


def _work_s(trial: TrialRow) -> float:
    if not trial.nominal_ns and user_function.is_user_function(trial.workload):
        raise RefusedError(UNCERTAIN)
    if not trial.nominal_ns and trial.size_unit:
        raise RefusedError(
            f"Workload {trial.workload} does not state how long a task takes, so its work cannot "
            "be subtracted. See: framework_s_per_task"
        )
    if trial.nominal_ns and not trial.runs_tasks:
        raise RefusedError("This backend completes tasks without running them: no work was done.")
    return float(trial.nominal_ns if pd.isna(trial.work_ns) else trial.work_ns) / 1e9


def _complete(total: Value) -> Value:
    if total.bound or total.value <= 0:
        raise RefusedError(f"The burst did not complete: {total.method}.")
    return total
