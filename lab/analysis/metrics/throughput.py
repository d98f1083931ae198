"""What a burst tells: its rate, its length, and what each task costs in worker-seconds.

The rate, and what follows from the length, are of the burst that ran again without record, where
there was one (METHOD M19).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lab.analysis.metrics.latency import Measure, mean_of, one_row_a_task
from lab.analysis.statistics import RefusedError, Value
from lab.planning.tasks import FIRST_TASK, PHASE_NAMES
from lab.results.schema import TrialRow
from lab.worker.ledger import MEASURE, REPEATED, UNRECORDED

THROUGHPUT_FLOOR = 20
OF_RATE = (REPEATED, UNRECORDED)


def numbers() -> Iterator[tuple[str, str, str, str, Measure]]:
    """Yield of numbers of bursts alone: name, unit, meaning, rows, measure; less is better.

    Its rows are ``"burst"`` or ``"unrecorded"``, or those of the recorded burst, ``"task"``.
    """
    for name, about, rows, measure in (
        ("worker", "Worker-seconds a task, its work included.", "burst", worker_time),
        ("overhead", "Worker-seconds a task beyond its work.", "burst", overhead),
        ("interference", "Seconds that a task runs beyond its work.", "task", interference),
        ("framework", "Worker-seconds a task in which it does not run.", "task", framework),
    ):
        yield f"{name}_s_per_task", "s", about, rows, measure
    about = "At most by how much what is recorded lowers the throughput: X_off / X_on - 1."
    yield "harness_overhead", "1", about, "burst", harness_overhead
    about = "How much higher the throughput is without record, X_off / X_on - 1, where it is that."
    yield "record_overhead", "1", about, "unrecorded", record_overhead


def with_marks(tasks: pd.DataFrame, marks: pd.DataFrame) -> pd.DataFrame:
    """Add to `one_row_a_task` of a recorded burst the marks of those without record, with phases.

    See `lab.driver.uninstrumented`.
    """
    once = one_row_a_task(marks)
    once = once.assign(phase=marks["phase"].loc[once.index])
    return pd.concat([tasks.assign(phase=PHASE_NAMES[MEASURE]), once], ignore_index=True)


def _telling(
    trial: TrialRow, burst: pd.DataFrame, phases: Sequence[int]
) -> tuple[pd.DataFrame, int, float]:
    """Return the rows that tell of a burst, how many there should be, and tasks each stands for.

    Those are the marks of the first of `phases` that there was (METHOD M19), or else all tasks.
    """
    for phase in phases if "phase" in burst else ():
        marks = burst[burst["phase"] == PHASE_NAMES[phase]]
        if len(marks):
            n_offered = int(marks["task_id"].max()) - FIRST_TASK[phase] + 1
            return marks, len(marks), n_offered / len(marks)
    return burst, max(len(burst), int(trial.n_sent)), 1.0


def throughput(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the rate of completions between the 10 % and the 90 % completion (METHOD M8).

    The shares are of all tasks, so that a system that loses tasks is not quicker for it. Where the
    burst ran again without record, its marks tell the rate, each for the tasks before it.
    """
    tasks, n, each = _telling(trial, tasks, OF_RATE)
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
    tasks, n, each = _telling(trial, tasks, (UNRECORDED,))
    # Marks are intended for the instant of the first submit, which is of a task without record.
    first = tasks["t1_ns" if each == 1 else "t0_ns"].min()
    done = tasks["t4_ns"].dropna()
    if pd.isna(first) or not len(done):
        raise RefusedError(f"No makespan: none of {n} tasks finished.")
    if len(done) == n:
        last = float(done.max() - first) / 1e9
        return Value(last, "", round(each * n), "last completion - first submit")
    # Marks are offered after the window's end.
    end = done.max() if pd.isna(trial.t_end_ns) else max(done.max(), trial.t_end_ns)
    return Value(float(end - first) / 1e9, ">", n, f"{n - len(done)} of {n} unfinished")


def worker_time(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds a task, ``P T / n``: its work and all that the system adds."""
    total = _complete(makespan(trial, tasks))
    return Value(
        trial.workers * total.value / total.n, "", total.n, f"P T / n, P = {trial.workers}"
    )


def overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds a task beyond its work, ``(P T - n w) / n`` (METHOD M17a).

    T is the makespan, P the worker slots. w is the duration the workload was calibrated to; a
    workload without one (`nominal_ns` 0: noop, payload) counts as no work, so all it costs is
    overhead.
    """
    work_s = _work_s(trial)
    spent = worker_time(trial, tasks)
    method = f"(P T - n w) / n, P = {trial.workers}, w = {work_s:g} s"
    return Value(spent.value - work_s, "", spent.n, method)


def efficiency(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the share of the worker slots' time that was work, ``n w / (P T)`` (METHOD M17a)."""
    work_s = _work_s(trial)
    total = _complete(makespan(trial, tasks))
    method = f"n w / (P T), P = {trial.workers}"
    return Value(total.n * work_s / (trial.workers * total.value), "", total.n, method)


def harness_overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return at most by how much the lab lowers this throughput, ``X_off / X_on - 1`` (METHOD M19).

    That is by what is recorded: all tasks, or one in some where the burst ran again without record.

    A task pays c, measured in a loop before the block, in one of p processes that each have
    ``p / X`` for it: so ``H = c / (p / X - c)``. At most, for a process may also wait; the driver's
    part counts as if it were in the worker's process. The workers of one process share its
    interpreter lock, so they count as one.
    """
    if pd.isna(trial.harness_ns):
        raise RefusedError(
            "Not measured: this trial ran outside a campaign, or the table `baseline` says why its "
            "block has no cost of instrumentation."
        )
    rate = throughput(trial, tasks)
    known = 1 if pd.isna(trial.worker_processes) else int(trial.worker_processes)
    p, each = min(known, int(trial.workers)), _telling(trial, tasks, OF_RATE)[2]
    ours_s = float(trial.harness_ns) / 1e9 / each
    left_s = p / rate.value - ours_s
    method = f"at most c / (p / X - c), c = {ours_s * 1e6:.2f} us before the block, p = {p}"
    if left_s <= ours_s:
        return Value(1.0, ">", rate.n, f"most of a task is its record; {method}")
    return Value(ours_s / left_s, "", rate.n, method)


def record_overhead(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return how much higher this throughput is than the recorded one, ``X_off / X_on - 1``.

    Both bursts ran in the same processes, the recorded one first (METHOD M19).
    """
    recorded = tasks[tasks["phase"] == PHASE_NAMES[MEASURE]].drop(columns="phase")
    off, on = throughput(trial, tasks), throughput(trial, recorded)
    return Value(off.value / on.value - 1, "", off.n, "X_off / X_on - 1 of the trial's two bursts")


def interference(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return how much longer a task runs in place than alone, ``S_insitu - w`` (METHOD M17a).

    With `framework` it makes up the overhead of the recorded burst, whose instants they need:
    ``P T / n = w + (S_insitu - w) + rest``.
    """
    work_s, in_place = _work_s(trial), _in_place(trial, tasks)
    return Value(in_place.value - work_s, "", in_place.n, f"mean of t4 - t3, less w = {work_s:g} s")


def framework(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return worker-seconds a task in which it does not run, ``P T / n - S_insitu`` (M17a)."""
    spent = worker_time(trial, tasks)
    return Value(spent.value - _in_place(trial, tasks).value, "", spent.n, "P T / n - mean t4 - t3")


def _in_place(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    return _complete(mean_of("t3_ns", "t4_ns")(trial, tasks))


def _work_s(trial: TrialRow) -> float:
    if trial.nominal_ns and not trial.executes:
        raise RefusedError("Its tasks are recorded and not run: their work was never done.")
    return float(trial.nominal_ns) / 1e9


def _complete(total: Value) -> Value:
    if total.bound or total.value <= 0:
        raise RefusedError(f"The burst has no end to count to: {total.method}.")
    return total
