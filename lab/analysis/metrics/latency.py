"""What a trial's tasks say: functions from its row and its tasks to one number.

A task is done when an execution of it returned. Until then it is unfinished: its latency is known
only to exceed the time to the end of the window (METHOD M6), whatever else became of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.analysis.statistics import RefusedError, Value, percentile, proportion
from lab.results.schema import TrialRow

Measure = Callable[[TrialRow, pd.DataFrame], Value]
"""From a trial's row and `one_row_a_task` of its window to a value, or `RefusedError`."""

Seconds = NDArray[np.float64]

INSTANTS = ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns"]
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
