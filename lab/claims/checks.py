"""Checks a statement against the records of its trials; pure functions, nothing runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lab.analysis.statistics import INTERVAL_FLOOR, paired_ratio
from lab.claims.statements import GAIN
from lab.core.model import COUNTED_FLAGS, Estimate
from lab.core.outcomes import FiringOutcome
from lab.driver.readiness import most_at_once
from lab.results.schema import TrialRow

# Share of the slots that wait at once, on average; queues need time to fill and to empty.
OVERLAP = 0.5
# Share of the waiting tasks that an urgent task overtakes: 0 in FIFO order, 1 at best.
OVERTAKEN = 0.5
URGENT_TASKS = 5
# A job of which half of the occurrences or less are on time is not scheduled.
MISSED = 0.5
# One firing may already be queued when its job is removed; three further periods would show more.
UNDER_WAY = 1


@dataclass(frozen=True, slots=True)
class TrialRecords:
    """The records of one finished trial, as the input of a check.

    Attributes:
        row: The trial's row.
        tasks: `TaskRow` columns of the window, one row per execution.
        occurrences: `FiringRow` columns; empty unless the trial is periodic.
        driver_pid: Process id of the submitter.
        seen: How many of the tasks' changes to shared data the submitter saw; None if the tasks
            change no shared data.
        python: The interpreter and whether it has the GIL.
        outcomes: `OutcomeRow` columns and the `ack` of the submit call; empty without a fault.
    """

    row: TrialRow
    tasks: pd.DataFrame
    occurrences: pd.DataFrame
    driver_pid: int
    seen: int | None
    python: str
    outcomes: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def ended(self) -> pd.DataFrame:
        """The executions that returned."""
        return self.tasks[self.tasks.outcome == "ok"]


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of a check, None if the trials do not decide, and the figures behind it."""

    holds: bool | None
    why: str


def overlap(trials: Sequence[TrialRecords]) -> Observation:
    """Check that waiting tasks run at the same time."""
    most, slots = _most_at_once(trials[0]), trials[0].row.workers
    return Observation(most > 1, f"{most} tasks at once on {slots} worker slots")


def all_workers(trials: Sequence[TrialRecords]) -> Observation:
    """Check that all worker slots are busy at the same time."""
    most, slots = _most_at_once(trials[0]), trials[0].row.workers
    return Observation(most >= slots, f"{most} of {slots} worker slots busy at once")


def io_bound(trials: Sequence[TrialRecords]) -> Observation:
    """Check that waiting tasks do not block each other: on average at least half of them wait."""
    (trial,) = trials
    ended, slots = trial.ended, trial.row.workers
    span_ns = max(1, int(ended.t4_ns.max() - ended.t3_ns.min()))
    mean = int((ended.t4_ns - ended.t3_ns).sum()) / span_ns
    holds = mean >= OVERLAP * slots
    why = f"on average {mean:.1f} of {slots} worker slots waited at once"
    # Other processes can only reduce the overlap, so a claim that holds on a busy machine is valid.
    if not holds and trial.row.flag not in COUNTED_FLAGS:
        return Observation(None, f"{why}, on a machine that was busy with other work")
    return Observation(holds, why)


def jobs_gain(trials: Sequence[TrialRecords]) -> Observation:
    """Check that jobs due at the same instant are faster on two cores, per occurrence."""
    (trial,) = trials
    if trial.row.flag not in COUNTED_FLAGS:
        return Observation(None, "the machine was busy with other work")
    rounds = trial.occurrences.dropna(subset=["finished_ns"]).groupby("nominal_ns")
    # An occurrence of which only one job ended shows nothing about parallel work.
    took_s = [int(r.finished_ns.max() - r.started_ns.min()) / 1e9 for _, r in rounds if len(r) > 1]
    if len(took_s) < INTERVAL_FLOOR:
        return Observation(None, f"{len(took_s)} occurrences, {INTERVAL_FLOOR} are needed")
    work_s = trial.row.n_planned * trial.row.nominal_ns / 1e9
    ratio = paired_ratio([work_s] * len(took_s), took_s)
    jobs = f"{trial.row.n_planned} jobs due at once on {trial.row.cores_per_node} cores"
    return _gained(ratio, f"{jobs} did {{}} times the CPU work of sequential jobs", trial.python)


def gain(trials: Sequence[TrialRecords]) -> Observation:
    """Check that a second worker on a second core speeds up CPU work, per pair (METHOD M12)."""
    # A pair is one block, so that both of its rates share the drift of the machine (METHOD M12).
    rates = {(trial.row.block, trial.row.workers): _rate_per_s(trial) for trial in trials}
    pairs = usable_pairs([trial.row for trial in trials])
    if len(pairs) < INTERVAL_FLOOR:
        tried = len({trial.row.block for trial in trials})
        busy = f"{len(pairs)} of {tried} pairs are usable, and {INTERVAL_FLOOR} are needed"
        return Observation(None, f"the machine was busy with other work: {busy}")
    two, one = ([rates[block, workers] for block in pairs] for workers in (2, 1))
    sentence = "2 workers on 2 cores did {} times the CPU work of 1 on 1"
    return _gained(paired_ratio(two, one), sentence, trials[0].python)


def usable_pairs(rows: Iterable[TrialRow]) -> list[int]:
    """Return the blocks in which both trials are valid; their figures do not matter."""
    used = Counter(row.block for row in rows if row.flag in COUNTED_FLAGS)
    return [block for block, n in used.items() if n > 1]


def _gained(ratio: Estimate, sentence: str, python: str) -> Observation:
    # Without an interval every ratio is possible, so the result has to be undecided.
    low, high = ratio.low or 0.0, ratio.high or np.inf
    figures = sentence.format(f"{ratio.value:.2f} ({low:.2f} to {high:.2f})")
    if low <= GAIN <= high:
        return Observation(None, f"{figures}: the interval contains {GAIN}; {python}")
    return Observation(low > GAIN, f"{figures}; {python}")


def shared_memory(trials: Sequence[TrialRecords]) -> Observation:
    """Check that tasks run in the submitter's process."""
    pids = _pids(trials[0])
    holds = pids == {trials[0].driver_pid}
    where = "the submitter's process" if holds else f"{len(pids)} other processes"
    return Observation(holds, f"tasks ran in {where}")


def separate_memory(trials: Sequence[TrialRecords]) -> Observation:
    """Check that each worker slot has its own process, and none is the submitter's."""
    pids, slots = _pids(trials[0]), trials[0].row.workers
    # There may be more processes than slots: some workers fork one for each task.
    holds = len(pids) >= slots and trials[0].driver_pid not in pids
    within = ", including the submitter's" if trials[0].driver_pid in pids else ""
    return Observation(holds, f"{slots} worker slots, {len(pids)} processes{within}")


def one_thread(trials: Sequence[TrialRecords]) -> Observation:
    """Check that all tasks run in one thread."""
    # The name of a worker contains its process and its thread.
    threads = trials[0].ended.worker.nunique()
    return Observation(threads == 1, f"tasks ran in {threads} thread{'s' * (threads > 1)}")


def several_nodes(trials: Sequence[TrialRecords]) -> Observation:
    """Check that more than one node executes tasks."""
    nodes = trials[0].ended.node.nunique()
    return Observation(nodes > 1, f"{nodes} of {trials[0].row.nodes} nodes executed tasks")


def seen_by_submitter(trials: Sequence[TrialRecords]) -> Observation:
    """Check that the submitter sees the change of every task."""
    (trial,) = trials
    why = f"the submitter saw {trial.seen} of the {trial.row.n_done} changes that tasks made"
    return Observation(trial.seen == trial.row.n_done, why)


def ran(trials: Sequence[TrialRecords]) -> Observation:
    """Check that all planned tasks ran with this label."""
    n = trials[0].row.n_done
    return Observation(n == trials[0].row.n_planned, f"{n} of {trials[0].row.n_planned} tasks ran")


def retried(trials: Sequence[TrialRecords]) -> Observation:
    """Check that the backend ran every task that raised again, until it returned."""
    (trial,) = trials
    raised = set(trial.tasks[trial.tasks.outcome == "raised"].task_id)
    returned = raised & set(trial.ended.task_id)
    why = f"{len(returned)} of {len(raised)} tasks that raised were run again and returned"
    # Where no task raised, nothing could be run again.
    return Observation(bool(raised) and returned == raised, why)


def overtaking(trials: Sequence[TrialRecords]) -> Observation:
    """Check that urgent tasks overtake at least half of the waiting tasks of low priority."""
    first = trials[0].tasks.drop_duplicates("task_id").sort_values("task_id")
    # Urgent tasks are submitted last, so they have the largest ids.
    low, urgent = first.iloc[:-URGENT_TASKS], first.iloc[-URGENT_TASKS:]
    waiting = overtaken = 0
    for accepted_ns, started_ns in zip(urgent.t2_ns, urgent.t3_ns, strict=True):
        # Before it acknowledges the urgent task, the backend cannot be expected to prefer it.
        waiting += int((low.t3_ns > accepted_ns).sum())
        # A worker may start a task before submit has returned, so the later instant counts.
        overtaken += int((low.t3_ns > max(accepted_ns, started_ns)).sum())
    if not waiting:
        return Observation(None, "no task was waiting when the urgent tasks were acknowledged")
    share = overtaken / waiting
    return Observation(
        share >= OVERTAKEN, f"urgent tasks overtook {share:.0%} of the waiting tasks"
    )


def survives(trials: Sequence[TrialRecords]) -> Observation:
    """Check that acknowledged tasks run after their submitter has been killed."""
    (trial,) = trials
    ended, planned = trial.ended, trial.row.n_planned
    after = int((ended.t4_ns > trial.tasks.t2_ns.max()).sum())
    done = ended.task_id.nunique()
    why = f"of {planned} acknowledged tasks {done} ended, {after} after their submitter was killed"
    holds = done == planned
    # If all tasks ended before the kill, the trial shows nothing about tasks without a submitter.
    return Observation(None if holds and not after else holds, why)


def scheduled(trials: Sequence[TrialRecords]) -> Observation:
    """Check that jobs run repeatedly, at the instants at which they are due."""
    due = trials[0].occurrences
    n = len(due.drop_duplicates(["job", "k"]))
    # METHOD M26 separates early firings from missed ones: an early one took place.
    on_time = due[due.outcome.isin([FiringOutcome.FIRED, FiringOutcome.EARLY])]
    late_s = float(on_time.error_ns.max()) / 1e9 if len(on_time) else 0.0
    why = f"{len(on_time)} of {n} occurrences kept, the latest {late_s:.2f} s late"
    return Observation(len(on_time) > MISSED * n, f"{why} ({trials[0].row.schedule})")


def rescheduled(trials: Sequence[TrialRecords]) -> Observation:
    """Check that a job added at run time runs, and stops running after its removal."""
    tasks = trials[0].tasks
    before = int((tasks.t3_ns < tasks.t5_ns).sum())
    after = int((tasks.t3_ns >= tasks.t5_ns).sum())
    why = f"{before} firings after it was added, {after} after it was removed"
    # A single firing may be a job that runs once.
    return Observation(before > 1 and after <= UNDER_WAY, why)


def answered(trials: Sequence[TrialRecords]) -> Observation:
    """Check that the backend's monitor answered over HTTP and listed the cluster's workers."""
    reason = trials[0].row.reason
    # The failure of another part of the cluster does not concern the monitor.
    concerns_monitor = reason.lower().startswith(("the monitor ", "monitor "))
    holds = None if reason and not concerns_monitor else not reason
    return Observation(holds, reason or "it answered over HTTP and listed the cluster")


def _most_at_once(trial: TrialRecords) -> int:
    ended = trial.ended
    spans = zip(ended.t3_ns.astype(int), ended.t4_ns.astype(int), strict=True)
    return most_at_once(list(spans))


def _rate_per_s(trial: TrialRecords) -> float:
    ended = trial.ended
    return len(ended) / (int(ended.t4_ns.max() - ended.t1_ns.min()) / 1e9)


def _pids(trial: TrialRecords) -> set[int]:
    return {int(worker.partition(":")[0]) for worker in trial.ended.worker}
