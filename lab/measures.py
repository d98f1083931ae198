"""What a trial's tasks say: functions from its row and its tasks to one number.

A task is done when an execution of it returned. Until then it is unfinished: its latency is known
only to exceed the time to the end of the window (METHOD M6), whatever else became of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.statistics import RefusedError, Value, percentile, proportion
from lab.tables import TrialRow

Measure = Callable[[TrialRow, pd.DataFrame], Value]
"""From a trial's row and `one_row_a_task` of its window to a value, or `RefusedError`."""

Seconds = NDArray[np.float64]

INSTANTS = ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns"]
THROUGHPUT_FLOOR = 20
# From what share of a quota's periods on it shows in latencies (METHOD M22).
THROTTLED = 0.01


def one_row_a_task(executions: pd.DataFrame) -> pd.DataFrame:
    """Keep of each task the execution that returned first, or else the one that started first.

    All instants of a row belong to one execution, so that
    ``t4 - t0 = (t1 - t0) + (t3 - t1) + (t4 - t3)``; t4 is null unless it returned.
    """
    tasks = executions[["task_id", "outcome", *INSTANTS]]
    # Only what is of another type yet: to change a type to itself copies every column.
    if others := [name for name in INSTANTS if tasks[name].dtype != "Int64"]:
        tasks = tasks.astype(dict.fromkeys(others, "Int64"))
    tasks["t4_ns"] = tasks["t4_ns"].where((tasks["outcome"] == "ok").to_numpy(dtype=bool))
    if tasks["task_id"].is_unique:
        return tasks
    ordered = tasks.sort_values(["t4_ns", "t3_ns"], kind="stable", na_position="last")
    return ordered.drop_duplicates("task_id").sort_index()


def durations(
    trial: TrialRow, tasks: pd.DataFrame, start: str, end: str
) -> tuple[Seconds, Seconds]:
    """Return the seconds from one instant to another, and the lower bounds of those without end.

    A task that never reached `start` has no such duration. From the intended instant every task
    that was sent has one: a sent task without a row is unfinished with the bound 0.
    """
    first, begun = _instants(tasks[start])
    last, ended = _instants(tasks[end])
    whole, open_ = begun & ended, begun & ~ended
    took = (last[whole] - first[whole]) / 1e9
    known_to = first[open_] if pd.isna(trial.t_end_ns) else int(trial.t_end_ns)
    bounds = np.maximum((known_to - first[open_]) / 1e9, 0.0)
    missing = max(0, int(trial.n_sent) - len(tasks)) if start == "t0_ns" else 0
    return took, np.concatenate([bounds, np.zeros(missing)])


def _instants(column_ns: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a column of instants, whole nanoseconds as they are, and where there is one."""
    return column_ns.to_numpy("int64", na_value=0), column_ns.notna().to_numpy()


def percentile_of(start: str, end: str, q: float) -> Measure:
    """Make the measure: percentile `q` of the seconds from `start` to `end`, METHOD M11."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        took, bounds = durations(trial, tasks, start, end)
        return percentile(took, q, bounds)

    return measure


def mean_of(start: str, end: str) -> Measure:
    """Make the measure: arithmetic mean of the seconds from `start` to `end`."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        took, bounds = durations(trial, tasks, start, end)
        n = took.size + bounds.size
        if not n:
            raise RefusedError("No mean of 0 tasks.")
        method = "arithmetic mean" + (f"; {bounds.size} of {n} unfinished" if bounds.size else "")
        return Value(float(took.sum() + bounds.sum()) / n, ">" if bounds.size else "", n, method)

    return measure


def on_whole_cpus(latency: Measure) -> Measure:
    """Refuse a latency of emulated nodes, which would tell of the emulation (METHOD M22)."""

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        stopped = trial.throttle_ratio
        if trial.node_mode == "oversubscribed":
            raise RefusedError("No latency where nodes want more CPUs than there are (METHOD M22).")
        if trial.node_mode == "quota" and not (pd.notna(stopped) and stopped <= THROTTLED):
            told = "unknown" if pd.isna(stopped) else f"{stopped:.0%}"
            raise RefusedError(
                f"No latency of nodes that a quota stops: {told} of its periods (METHOD M22)."
            )
        return latency(trial, tasks)

    return measure


def submit_percentile(q: float) -> Measure:
    """Make the measure: percentile `q` of t2 - t1, which a batch in one call does not have."""
    whole = percentile_of("t1_ns", "t2_ns", q)

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        calls = tasks["t1_ns"].dropna()
        if len(calls) > 1 and calls.min() == calls.max():
            raise RefusedError(f"All {len(tasks)} tasks went in one call; none has a cost alone.")
        return whole(trial, tasks)

    return measure


def service_median(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the median of t4 - t3 of the tasks that returned or still ran at the end."""
    # One that raised has ended: it is no lower bound of a service time.
    return percentile_of("t3_ns", "t4_ns", 50)(
        trial, tasks[tasks["outcome"].isin(["ok", "unfinished"])]
    )


def throughput(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the rate of completions between the 10 % and the 90 % completion (METHOD M8).

    The shares are of all tasks, so that a system that loses tasks is not quicker for it.
    """
    n = max(len(tasks), int(trial.n_sent))
    low, high = -(-n // 10), -(-9 * n // 10)
    if n < THROUGHPUT_FLOOR:
        raise RefusedError(f"Throughput needs {THROUGHPUT_FLOOR} tasks; there are {n}.")
    done = np.sort(tasks["t4_ns"].dropna().to_numpy("int64"))
    if done.size < high:
        raise RefusedError(f"Only {done.size} of {n} tasks finished: no 90 % completion.")
    span_s = (done[high - 1] - done[low - 1]) / 1e9
    if span_s <= 0:
        raise RefusedError(f"The middle {high - low} tasks finished within one tick of the clock.")
    return Value(float((high - low) / span_s), "", n, "rate from the 10 % to the 90 % completion")


def makespan(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the seconds from the first submit call to the last completion."""
    n = max(len(tasks), int(trial.n_sent))
    first = tasks["t1_ns"].min()
    done = tasks["t4_ns"].dropna()
    if pd.isna(first) or not len(done):
        raise RefusedError(f"No makespan: none of {n} tasks finished.")
    if len(done) == n:
        return Value(float(done.max() - first) / 1e9, "", n, "last completion - first submit")
    end = done.max() if pd.isna(trial.t_end_ns) else trial.t_end_ns
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

    A task pays c, measured in a loop before the block, in one of p processes that each have
    ``p / X`` for it: so ``H = c / (p / X - c)``. At most, for a process may also wait; the driver's
    part counts as if it were in the worker's process. The workers of one process share its
    interpreter lock, so they count as one.
    """
    if pd.isna(trial.harness_ns):
        raise RefusedError("Not measured: this trial was run outside a campaign.")
    rate = throughput(trial, tasks)
    known = 1 if pd.isna(trial.worker_processes) else int(trial.worker_processes)
    p, ours_s = min(known, int(trial.workers)), float(trial.harness_ns) / 1e9
    left_s = p / rate.value - ours_s
    method = f"at most c / (p / X - c), c = {ours_s * 1e6:.2f} us before the block, p = {p}"
    if left_s <= ours_s:
        return Value(1.0, ">", rate.n, f"most of a task is its record; {method}")
    return Value(ours_s / left_s, "", rate.n, method)


def interference(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return how much longer a task runs in place than alone, ``S_insitu - w`` (METHOD M17a).

    With `framework` it makes up the overhead: ``P T / n = w + (S_insitu - w) + rest``.
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


def cpu_of(role: str) -> Measure:
    """Make the measure: CPU seconds of a role in the window for each task finished (M17d)."""
    column = f"cpu_{role}_ns"

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        used_ns, n = getattr(trial, column), int(tasks["t4_ns"].notna().sum())
        if pd.isna(used_ns) or not n:
            raise RefusedError(f"No CPU time a task: {column} is {used_ns}, {n} tasks finished.")
        return Value(float(used_ns) / 1e9 / n, "", n, "CPU time of the window / tasks finished")

    return measure


def broker(what: str) -> Measure:
    """Make the measure: commands or bytes of the servers in the window for each task (M17d)."""
    column = f"broker_{what}"

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        count, n = getattr(trial, column), int(tasks["t4_ns"].notna().sum())
        if pd.isna(count) or not n:
            raise RefusedError(f"No {what} a task: {column} is {count}, {n} tasks finished.")
        return Value(float(count) / n, "", n, f"{what} of the window / tasks finished")

    return measure


def lost_upper(trial: TrialRow, _tasks: pd.DataFrame) -> Value:
    """Return the upper 95 % bound of the share of tasks lost or never finished (METHOD M28)."""
    unserved = int(trial.n_lost) + int(trial.n_partial)
    share = proportion(unserved, int(trial.n_sent))
    return Value(float(share.high or 0.0), "", share.n, f"upper 95 % bound: {share.method}")
