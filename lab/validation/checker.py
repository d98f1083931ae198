"""Classifies each task of a trial from the lab's records, and checks the load generator.

All functions are pure functions of the tables of one attempt (METHOD M7, M28). They never query the
system under test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.analysis.statistics import inverse_cdf
from lab.core.model import Arrival, Flag, Paced
from lab.core.outcomes import Ack, TaskOutcome
from lab.planning.phases import Phase
from lab.validation.issue import LIMITED, Issue

# The generator (METHOD M7, M23).
RATE_NOISY, RATE_DISTURBED = 0.02, 0.05
SUBMITTER_BUSY = 0.30
LAG_FLOOR_S, LAG_OF_LATENCY = 0.001, 0.05
GAPS_P_VALUE = 0.01
MIN_GAPS = 30  # with fewer, the test of gaps has no power
# The end of a drain in which a system shows that it still works.
LAST_NS, LAST_SHARE = 2_000_000_000, 0.1
OF_FAULTS = {
    "state": "str",
    "hit": "Int64",
    "redelivery_ns": "Int64",
    "taken_over_by": "str",
}
"""Columns of an outcome that only a trial with a fault fills, with their types."""


def outcomes(
    tasks: pd.DataFrame,
    submits: pd.DataFrame,
    expected: Mapping[int, int] | None,
    *,
    repeats: bool = False,
    due: int = 1,
) -> pd.DataFrame:
    """Classify each task of the window, and each execution without a submit (METHOD M28).

    The classes exclude each other. A task gets the first class that applies:

    1. unexpected: executed, and in no submit row of any phase
    2. wrong-answer: an execution returned a wrong answer
    3. failed: finished, and every execution raised or was cancelled
    4. duplicated: finished more than `due` times, including a retry after a failure
    5. recovered: finished once, although the submit call was not acknowledged
    6. ok: finished once, and acknowledged
    7. partial: started and never finished, acknowledged or not
    8. lost-silent: acknowledged and never started
    9. refused: not acknowledged (error or unknown) and never started; this is not a loss

    Args:
        tasks: `TaskRow` columns, one row per execution; rows of tasks without a start are allowed.
        submits: `SubmitRow` columns, one row per offered task, all phases.
        expected: Task id -> checksum of the right answer; None if the answers are unknown.
        repeats: Whether tasks are jobs, which are never duplicated (`schedule_match`).
        due: Expected number of finishes of a task: 2 if its first execution raises.

    Returns:
        `OutcomeRow` columns, one row per task: first the offered tasks of the window in their
        order, then the unexpected ones by id.
    """
    executed = _executed(tasks, expected)
    offered = submits.loc[submits["phase"] == Phase.MEASURE, ["trial_id", "task_id", "ack"]]
    known = offered.join(executed, on="task_id").fillna(dict.fromkeys(executed.columns, 0))
    # A job fires many times by design, so no number of its executions is a duplicate (METHOD M26).
    known["outcome"] = _classes(known, most=len(tasks) if repeats else due)
    unexpected = _unexpected(tasks, submits, executed)
    columns = ["trial_id", "task_id", "outcome", "starts", "completions"]
    table = pd.concat([known[columns], unexpected[columns]]) if len(unexpected) else known[columns]
    table = table.astype({"starts": "int64", "completions": "int64"}).reset_index(drop=True)
    # A table has one schema, so trials without a fault have these columns too (METHOD M35).
    empty = {"str": "", "Int64": None}
    blank = {name: pd.Series(empty[kind], table.index, kind) for name, kind in OF_FAULTS.items()}
    return table.assign(**blank)


def waiting(
    table: pd.DataFrame, tasks: pd.DataFrame, submits: pd.DataFrame, end_ns: int | None
) -> pd.DataFrame:
    """Replace `lost-silent` by `unknown` if the system still executed tasks when the drain ended.

    A slow system that the deadline cuts off has not lost the tasks that wait. It still worked if a
    task was executing, or if one had started or ended in the last tenth of the drain, at most 2 s.

    Args:
        table: The result of `outcomes`, for a trial without a fault.
        tasks: `TaskRow` columns, without the events after the end of the drain.
        submits: `SubmitRow` columns.
        end_ns: End of the drain; None: there was none.
    """
    events = pd.concat([tasks["t3_ns"], tasks["t4_ns"]]).dropna()
    sent = submits["t1_ns"].dropna()
    if end_ns is None or events.empty or sent.empty:
        return table
    drain_ns = end_ns - int(sent.max())
    is_busy = end_ns - int(events.max()) < min(LAST_NS, drain_ns * LAST_SHARE)
    # A partial task was executing when the drain ended, so the tasks behind it are not lost.
    if not is_busy and not (table["outcome"] == TaskOutcome.PARTIAL).any():
        return table
    is_lost = table["outcome"] == TaskOutcome.LOST_SILENT
    return table.assign(outcome=table["outcome"].mask(is_lost, str(TaskOutcome.UNDECIDED)))


def _unexpected(tasks: pd.DataFrame, submits: pd.DataFrame, executed: pd.DataFrame) -> pd.DataFrame:
    unknown = executed[executed["starts"] > 0]
    # The submit calls of all phases: only an execution that no phase offered is unexpected.
    unknown = unknown[~unknown.index.isin(submits["task_id"])].reset_index()
    trial_id = tasks["trial_id"].iloc[0] if len(tasks) else ""
    return unknown.assign(trial_id=trial_id, outcome=str(TaskOutcome.UNEXPECTED))


def _executed(tasks: pd.DataFrame, expected: Mapping[int, int] | None) -> pd.DataFrame:
    """Count by task id: starts, completions, returned answers, and wrong ones among them."""
    returned = tasks["outcome"] == "ok"
    # Masked integers, because a float would round checksums of 63 bits.
    right = pd.Series(expected or {}, dtype="Int64").reindex(tasks["task_id"]).array
    # Null if the lab could not check the answer; that is not an error of the system.
    differs = pd.Series(tasks["answer"].astype("Int64").array != right, index=tasks.index)
    is_known = expected is not None
    table = pd.DataFrame(
        {
            "task_id": tasks["task_id"],
            "starts": tasks["t3_ns"].notna(),
            "completions": tasks["t4_ns"].notna(),
            "returned": returned,
            "wrong": is_known & returned & differs.fillna(value=False).astype(bool),
        }
    )
    return table.groupby("task_id").sum()


def _classes(known: pd.DataFrame, most: int) -> NDArray[np.str_]:
    acknowledged = known["ack"] == Ack.OK
    completions = known["completions"]
    order = (
        # First, because a wrong answer makes the trial `invalid` and no other class may hide it.
        (known["wrong"] > 0, TaskOutcome.WRONG_ANSWER),
        ((completions > 0) & (known["returned"] == 0), TaskOutcome.FAILED),
        (completions > most, TaskOutcome.DUPLICATED),
        ((completions > 0) & ~acknowledged, TaskOutcome.RECOVERED),
        (completions > 0, TaskOutcome.OK),
        (known["starts"] > 0, TaskOutcome.PARTIAL),
        (acknowledged, TaskOutcome.LOST_SILENT),
    )
    conditions, classes = zip(*order, strict=True)
    return np.select(conditions, [str(c) for c in classes], default=str(TaskOutcome.REFUSED))


def counts(table: pd.DataFrame) -> dict[TaskOutcome, int]:
    """Count the tasks of each class in the result of `outcomes`; absent classes are 0."""
    by_class = table["outcome"].value_counts()
    return {outcome: int(by_class.get(str(outcome), 0)) for outcome in TaskOutcome}


def negative_durations(tasks: pd.DataFrame, bounds_ns: pd.Series | int = 0) -> int:
    """Count durations below zero: t1 - t0, t2 - t1, t3 - t1 and t4 - t3 (METHOD M14).

    ``t2 > t3`` is legal: a worker may start before submit returns. `bounds_ns` is the largest error
    of each t3, which is of another clock than t1 on another machine.
    """
    pairs = (("t0_ns", "t1_ns"), ("t1_ns", "t2_ns"), ("t3_ns", "t4_ns"))
    # A comparison with a null instant is null, and `sum` skips it: a missing end is no error.
    before_submit = int((tasks["t3_ns"] + bounds_ns < tasks["t1_ns"]).sum())
    return before_submit + sum(int((tasks[end] < tasks[start]).sum()) for start, end in pairs)


def without_records(table: pd.DataFrame, proven: Collection[int] = ()) -> pd.DataFrame:
    """Replace `lost-silent` and `partial` by `unknown`, because records of the workers are missing.

    Args:
        table: The result of `outcomes`, or of a trial with a fault.
        proven: The tasks whose outcome no missing record can change.
    """
    unproven = [str(TaskOutcome.LOST_SILENT), str(TaskOutcome.PARTIAL)]
    lacks_record = table["outcome"].isin(unproven) & ~table["task_id"].isin(proven)
    return table.assign(outcome=table["outcome"].mask(lacks_record, str(TaskOutcome.UNDECIDED)))


def generator_check(
    submits: pd.DataFrame, arrival: Arrival, median_end_to_end_s: float = 0.0, drivers: int = 1
) -> list[Issue]:
    """Check that the generator followed its plan and was not the bottleneck (METHOD M7).

    Only a `Paced` arrival has a plan; for others the result is empty.

    Args:
        submits: `SubmitRow` columns; only rows of the window count.
        arrival: The trial's arrival.
        median_end_to_end_s: Median of t4 - t0 in seconds; a lag of up to 5 % of it is accepted.
        drivers: The number of processes that offered the tasks.
    """
    window = submits[submits["phase"] == Phase.MEASURE]
    # Without an end the call has no duration: the driver was killed in it.
    sent = window[window["t2_ns"].notna()].sort_values("t1_ns")
    if not isinstance(arrival, Paced) or not len(sent):
        return []
    t0, t1, t2 = (sent[name].to_numpy("int64") for name in ("t0_ns", "t1_ns", "t2_ns"))
    lag_s, submit_s = (t1 - t0) / 1e9, (t2 - t1) / 1e9
    findings = [
        _rate(t0, t1, arrival.n_tasks),
        _utilisation_of_submitter(arrival.rate_hz * float(submit_s.mean()) / drivers),
        _lag(lag_s, max(LAG_FLOOR_S, LAG_OF_LATENCY * median_end_to_end_s)),
    ]
    # The gaps of uniform and bursty plans are not exponential by design (METHOD M6).
    if arrival.gaps == "poisson":
        dead_s = inverse_cdf(submit_s, 99) + inverse_cdf(lag_s, 99)
        findings.append(_gaps(np.diff(t1) / 1e9, dead_s, arrival.rate_hz))
    return [finding for finding in findings if finding]


def ceiling_per_s(sent: pd.DataFrame, drivers: int) -> float | None:
    """Return the rate at which the submit calls would take all the time of all drivers.

    Args:
        sent: `SubmitRow` columns of the tasks that were offered; None without a call that returned.
        drivers: The number of processes that offered them.
    """
    calls_ns = (sent["t2_ns"] - sent["t1_ns"]).dropna()
    mean_ns = float(calls_ns.mean()) if len(calls_ns) else 0.0
    return drivers * 1e9 / mean_ns if mean_ns > 0 else None


def _limited(flag: Flag, fault: str) -> Issue:
    return Issue(flag, f"{LIMITED}{fault}")


def _rate(t0: NDArray[np.int64], t1: NDArray[np.int64], planned: int) -> Issue | None:
    # Compared with the instants of the plan and not with its rate: the rate of a Poisson plan of n
    # tasks deviates by 1 / sqrt(n) by chance.
    stretch = max(1, int(np.ptp(t1))) / max(1, int(np.ptp(t0)))
    deviation = len(t1) / planned / stretch - 1
    if abs(deviation) <= RATE_NOISY:
        return None
    flag = Flag.DISTURBED if abs(deviation) > RATE_DISTURBED else Flag.NOISY
    return _limited(flag, f"achieved rate {deviation:+.1%} off the plan (limit {RATE_NOISY:.0%})")


def _utilisation_of_submitter(busy: float) -> Issue | None:
    if busy <= SUBMITTER_BUSY:
        return None
    return _limited(Flag.NOISY, f"the sender was {busy:.0%} busy (limit {SUBMITTER_BUSY:.0%})")


def _lag(lag_s: NDArray[np.float64], limit_s: float) -> Issue | None:
    p99_s = inverse_cdf(lag_s, 99)
    if p99_s <= limit_s:
        return None
    late = f"the sender was {p99_s * 1e3:.2f} ms late at the 99th percentile"
    return _limited(Flag.NOISY, f"{late} (limit {limit_s * 1e3:.2f} ms)")


def _gaps(gaps_s: NDArray[np.float64], dead_s: float, rate_hz: float) -> Issue | None:
    """Test with Kolmogorov-Smirnov that the gaps between submit calls are exponential.

    A submitter cannot start a call while another lasts, so gaps shorter than that dead time are
    missing even if it follows the plan, and a test of 10 000 gaps would always fail. The
    exponential distribution has no memory: the excess of a gap over the dead time is exponential
    with the same rate, so the excess is tested.
    """
    excess = gaps_s[gaps_s > dead_s] - dead_s
    if len(excess) < MIN_GAPS:
        return None
    p_value = float(scipy.stats.kstest(excess, "expon", args=(0, 1 / rate_hz)).pvalue)
    if p_value > GAPS_P_VALUE:
        return None
    return _limited(Flag.NOISY, f"gaps between sends are not exponential (KS p = {p_value:.1g})")
