"""Reads answers from the trials that were run for a question; pure functions, nothing runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lab.model import Estimate, Flag
from lab.readiness import most_at_once
from lab.statistics import INTERVAL_FLOOR, paired_ratio
from lab.tables import TrialRow
from lab.verdicts import Occurrence

# Two workers on two cores do twice the work of one, less what a broker takes of those cores; two
# that take turns do no more than one. What lies between is told from neither.
GAIN = 1.25
# The mean number of slots that wait at once; queues take some time to fill and to empty.
OVERLAP = 0.5
# The share of those waiting that an urgent task overtakes: 0 in the order of arrival, 1 at best.
OVERTAKEN = 0.5
URGENT_TASKS = 5
# Occurrences: a schedule of which less than half is kept is none.
MISSED = 0.5
# A run that is under way when its job is removed may still start; three periods would bring more.
UNDER_WAY = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """One finished trial as a judge sees it.

    `tasks` are the `TaskRow` columns of its window, a row an execution; `occurrences` are the
    `OccurrenceRow` columns, none unless it is periodic; `driver_pid` is the process that submitted;
    `seen` is how much of what tasks left behind the submitter saw, None where they leave nothing;
    `python` names the interpreter and whether it has the GIL.
    """

    row: TrialRow
    tasks: pd.DataFrame
    occurrences: pd.DataFrame
    driver_pid: int
    seen: int | None
    python: str

    @property
    def ended(self) -> pd.DataFrame:
        """The executions that returned."""
        return self.tasks[self.tasks.outcome == "ok"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something is so, None where that cannot be told, and the figures that say it."""

    is_so: bool | None
    why: str


def overlap(shown: Sequence[Shown]) -> Finding:
    """Find that waiting tasks run at the same time."""
    most, slots = _most_at_once(shown[0]), shown[0].row.workers
    return Finding(most > 1, f"{most} tasks at once on {slots} worker slots")


def all_workers(shown: Sequence[Shown]) -> Finding:
    """Find that every worker slot is at work at once."""
    most, slots = _most_at_once(shown[0]), shown[0].row.workers
    return Finding(most >= slots, f"{most} of {slots} worker slots at work at once")


def io_bound(shown: Sequence[Shown]) -> Finding:
    """Find that slots which wait do not keep each other: on average half of them or more wait."""
    (only,) = shown
    ended, slots = only.ended, only.row.workers
    span_ns = max(1, int(ended.t4_ns.max() - ended.t3_ns.min()))
    mean = int((ended.t4_ns - ended.t3_ns).sum()) / span_ns
    is_so = mean >= OVERLAP * slots
    why = f"on average {mean:.1f} of {slots} worker slots waited at once"
    if not is_so and only.row.flag == Flag.INVALID:
        return Finding(None, f"{why}, on a machine that was busy with other work")
    return Finding(is_so, why)


def jobs_gain(shown: Sequence[Shown]) -> Finding:
    """Find that jobs due at one instant gain by two cores, occurrence by occurrence."""
    (only,) = shown
    if only.row.flag == Flag.INVALID:
        return Finding(None, "the machine was busy with other work")
    rounds = only.occurrences.dropna(subset=["finished_ns"]).groupby("nominal_ns")
    took_s = [int(r.finished_ns.max() - r.started_ns.min()) / 1e9 for _, r in rounds if len(r) > 1]
    if len(took_s) < INTERVAL_FLOOR:
        return Finding(None, f"{len(took_s)} occurrences tell nothing, {INTERVAL_FLOOR} would")
    work_s = only.row.n_planned * only.row.nominal_ns / 1e9
    ratio = paired_ratio([work_s] * len(took_s), took_s)
    what = f"{only.row.n_planned} jobs due at once on {only.row.cores_per_node} cores did"
    return _gained(ratio, f"{what} {{}} times the CPU work of one after the other", only.python)


def gain(shown: Sequence[Shown]) -> Finding:
    """Find that CPU work gains by a second worker on a second core, pair by pair (METHOD M12)."""
    rates = {(each.row.block, each.row.workers): _rate_per_s(each) for each in shown}
    pairs = usable_pairs([each.row for each in shown])
    if len(pairs) < INTERVAL_FLOOR:
        tried = len({each.row.block for each in shown})
        busy = f"{len(pairs)} of {tried} pairs can be used, and {INTERVAL_FLOOR} are needed"
        return Finding(None, f"the machine was busy with other work: {busy}")
    two, one = ([rates[block, workers] for block in pairs] for workers in (2, 1))
    what = "2 workers on 2 cores did {} times the CPU work of 1 on 1"
    return _gained(paired_ratio(two, one), what, shown[0].python)


def usable_pairs(rows: Iterable[TrialRow]) -> list[int]:
    """Return the blocks whose two trials were not disturbed, whatever their figures are."""
    used = Counter(row.block for row in rows if row.flag != Flag.INVALID)
    return [block for block, n in used.items() if n > 1]


def _gained(ratio: Estimate, what: str, python: str) -> Finding:
    low, high = ratio.low or 0.0, ratio.high or np.inf
    figures = what.format(f"{ratio.value:.2f} ({low:.2f} to {high:.2f})")
    if low <= GAIN <= high:
        return Finding(None, f"{figures}, which may be more or less than {GAIN}; {python}")
    return Finding(low > GAIN, f"{figures}; {python}")


def shared_memory(shown: Sequence[Shown]) -> Finding:
    """Find that tasks run in the submitter's process."""
    pids = _pids(shown[0])
    is_so = pids == {shown[0].driver_pid}
    where = "the submitter's process" if is_so else f"{len(pids)} processes of their own"
    return Finding(is_so, f"tasks ran in {where}")


def own_memory(shown: Sequence[Shown]) -> Finding:
    """Find that tasks which run at once run in processes of their own, apart from the submitter."""
    pids, slots = _pids(shown[0]), shown[0].row.workers
    is_so = len(pids) >= slots and shown[0].driver_pid not in pids
    within = ", the submitter's among them" if shown[0].driver_pid in pids else ""
    return Finding(is_so, f"{slots} worker slots, {len(pids)} processes{within}")


def one_thread(shown: Sequence[Shown]) -> Finding:
    """Find that all tasks run in one thread."""
    threads = shown[0].ended.worker.nunique()
    return Finding(threads == 1, f"tasks ran in {threads} thread{'s' * (threads > 1)}")


def several_nodes(shown: Sequence[Shown]) -> Finding:
    """Find that more than one node executes tasks."""
    nodes = shown[0].ended.node.nunique()
    return Finding(nodes > 1, f"{nodes} of {shown[0].row.nodes} nodes executed tasks")


def seen_by_submitter(shown: Sequence[Shown]) -> Finding:
    """Find that what every task changed is there for the submitter too."""
    (only,) = shown
    told = f"the submitter saw {only.seen} of the {only.row.n_done} changes that tasks made"
    return Finding(only.seen == only.row.n_done, told)


def ran(shown: Sequence[Shown]) -> Finding:
    """Find that tasks run at all, in the way that was asked for."""
    n = shown[0].row.n_done
    return Finding(n == shown[0].row.n_planned, f"{n} of {shown[0].row.n_planned} tasks ran")


def retried(shown: Sequence[Shown]) -> Finding:
    """Find that every task that raised was run again by the system, until it returned."""
    (only,) = shown
    raised = set(only.tasks[only.tasks.outcome == "raised"].task_id)
    returned = raised & set(only.ended.task_id)
    told = f"{len(returned)} of {len(raised)} tasks that raised were run again and returned"
    return Finding(bool(raised) and returned == raised, told)


def overtaking(shown: Sequence[Shown]) -> Finding:
    """Find that urgent tasks overtake those that wait, which are not."""
    first = shown[0].tasks.drop_duplicates("task_id").sort_values("task_id")
    low, urgent = first.iloc[:-URGENT_TASKS], first.iloc[-URGENT_TASKS:]
    waiting = overtaken = 0
    for accepted_ns, started_ns in zip(urgent.t2_ns, urgent.t3_ns, strict=True):
        waiting += int((low.t3_ns > accepted_ns).sum())
        overtaken += int((low.t3_ns > max(accepted_ns, started_ns)).sum())
    if not waiting:
        return Finding(None, "nothing waited any more when the urgent tasks came")
    share = overtaken / waiting
    return Finding(share >= OVERTAKEN, f"urgent tasks overtook {share:.0%} of those that waited")


def survives(shown: Sequence[Shown]) -> Finding:
    """Find that tasks which were accepted run although their submitter has been killed."""
    (only,) = shown
    ended, planned = only.ended, only.row.n_planned
    after = int((ended.t4_ns > only.tasks.t2_ns.max()).sum())
    done = ended.task_id.nunique()
    told = f"of {planned} accepted tasks {done} ended, {after} after their submitter was killed"
    is_so = done == planned
    return Finding(None if is_so and not after else is_so, told)


def scheduled(shown: Sequence[Shown]) -> Finding:
    """Find that jobs run again and again, when they are due by their specification."""
    due = shown[0].occurrences
    n = len(due.drop_duplicates(["job", "k"]))
    kept = due[due.verdict.isin([Occurrence.KEPT, Occurrence.EARLY])]
    late_s = float(kept.error_ns.max()) / 1e9 if len(kept) else 0.0
    told = f"{len(kept)} of {n} occurrences kept, the latest {late_s:.2f} s late"
    return Finding(len(kept) > MISSED * n, f"{told} ({shown[0].row.schedule})")


def rescheduled(shown: Sequence[Shown]) -> Finding:
    """Find that jobs added while the system runs are run, and no more once they are removed."""
    tasks = shown[0].tasks
    before = int((tasks.t3_ns < tasks.t5_ns).sum())
    after = int((tasks.t3_ns >= tasks.t5_ns).sum())
    told = f"{before} runs after it was added, {after} after it was removed"
    return Finding(before > 1 and after <= UNDER_WAY, told)


def answered(shown: Sequence[Shown]) -> Finding:
    """Find that the system's monitor answered over HTTP with what it must know of the cluster."""
    reason = shown[0].row.reason
    # Another part of the cluster that failed says nothing of the monitor.
    is_about_it = reason.lower().startswith(("the monitor ", "monitor "))
    is_so = None if reason and not is_about_it else not reason
    return Finding(is_so, reason or "it answered over HTTP and knew the cluster")


def _most_at_once(shown: Shown) -> int:
    ended = shown.ended
    spans = zip(ended.t3_ns.astype(int), ended.t4_ns.astype(int), strict=True)
    return most_at_once(list(spans))


def _rate_per_s(shown: Shown) -> float:
    ended = shown.ended
    return len(ended) / (int(ended.t4_ns.max() - ended.t1_ns.min()) / 1e9)


def _pids(shown: Shown) -> set[int]:
    return {int(worker.partition(":")[0]) for worker in shown.ended.worker}
