"""Classifies each task of a trial with a fault (METHOD M28, M29).

Pure functions of the lab's records and of the states that the system itself reports. The ledger
decides whether a task ran. A state only divides the tasks that did not finish, and shows a failure
that was reported for a finished one, so a system that lies about its states is found out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from lab.core.faults import HORIZONS, FaultKind, Role
from lab.core.outcomes import Ack, TaskOutcome, TaskState
from lab.planning.phases import Phase
from lab.results.schema import FaultRow
from lab.validation.checker import OF_FAULTS

# The shortest such wait, for a system that delivers again at once, or never.
SHORTEST_WAIT_S = 2.0
_DECIDED_BEFORE = (TaskOutcome.UNEXPECTED, TaskOutcome.WRONG_ANSWER)
_TYPES = {"outcome": "str", **OF_FAULTS}


@dataclass(frozen=True, slots=True)
class ProvedHit:
    """A proved hit of a fault.

    Attributes:
        number: Its number in the trial.
        at_ns: Its instant, ns of CLOCK_MONOTONIC.
        over_ns: The end of its effects: healed, or the part that ended has been restarted.
        task_ids: The tasks that its target was executing.
        takes_records: Whether the records of the target are lost with it.
    """

    number: int
    at_ns: int
    over_ns: int
    task_ids: frozenset[int]
    takes_records: bool = False


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The hits of a trial, and what is known at the end of its drain.

    Attributes:
        hits: The proved hits in the order of their instants.
        end_ns: The end of the drain, ns of CLOCK_MONOTONIC.
        horizon_s: The system's redelivery horizon of a task that waits; None: it never delivers
            it again.
        started_horizon_s: That of a task that has started; None if it was acknowledged before.
        states: The state of each task whose state was read.
        late: Tasks that started or returned after the end, while the cluster stopped.
    """

    hits: Sequence[ProvedHit]
    end_ns: int
    horizon_s: float | None
    started_horizon_s: float | None
    states: Mapping[int, TaskState] = field(default_factory=dict)
    late: Collection[int] = ()

    @property
    def over_ns(self) -> int:
        """The end of the effects of all hits; 0 without a hit."""
        return max((hit.over_ns for hit in self.hits), default=0)

    def lasted_since(
        self, at_ns: int, *, is_started: bool = False, has_record: bool = True
    ) -> bool:
        """Return whether each redelivery that an event at `at_ns` caused had its time.

        A task of which the system has no record is never delivered again.
        """
        horizon_s = self.started_horizon_s if is_started else self.horizon_s
        horizon_s = horizon_s if has_record else None
        needed_s = max(HORIZONS * (horizon_s or 0.0), SHORTEST_WAIT_S)
        return self.end_ns - at_ns >= needed_s * 1e9


class _TaskStart(NamedTuple):
    t3_ns: int
    outcome: str
    place: str


def proved_hits(rows: Iterable[FaultRow]) -> list[ProvedHit]:
    """Return the hits of a trial in the order of their instants; a control has none."""
    hits = []
    for row in rows:
        # The fault `none` prepares everything and hits nothing (METHOD M27): its rows prove no hit.
        if row.injected_ns is not None and row.fault != FaultKind.NONE:
            ends = (row.injected_ns, row.healed_ns or 0, row.restarted_ns or 0)
            task_ids = frozenset(map(int, row.task_ids.split()))
            is_of_host = row.role == Role.HOST
            hits.append(ProvedHit(row.hit, row.injected_ns, max(ends), task_ids, is_of_host))
    return sorted(hits, key=lambda hit: hit.at_ns)


def classify(
    table: pd.DataFrame, tasks: pd.DataFrame, submits: pd.DataFrame, after: Aftermath
) -> pd.DataFrame:
    """Replace the outcomes of a trial without faults by those of a trial with a fault.

    The first rule that applies decides:

    1. unexpected, or wrong answer: as without a fault
    2. duplicated: returned more than once
    3. failed-though-done: returned, and the system reports a failure
    4. re-executed: started more than once, and returned once
    5. ok, or recovered: returned once; acknowledged, or not
    6. failed: an execution raised, none returned, and the system reports a failure or no state
    7. refused, or partial: not acknowledged; never started, or started. Neither is a loss
    8. lost-reported: the system reports a failure
    9. unknown: the drain was shorter than `HORIZONS` redelivery horizons after the last submit
       call, the end of the last hit, or the last start of the task (of any task, if it only
       waits behind others; 2 s if the system has no record of it); or the task started or
       returned after the drain
    10. stuck: the system reports that it runs
    11. lost-silent: all others. The system reports no state, or that the task is queued, or
        missing, or finished

    Args:
        table: The result of `checker.outcomes` for the same records.
        tasks: `TaskRow` columns, without the events after the end of the drain.
        submits: `SubmitRow` columns.
        after: The hits, the states, and the end of the drain.

    Returns:
        `OutcomeRow` columns, in the same order. `hit` is the last hit whose target was executing
        the task; for others that are not ok, the first hit that was not over when the task was
        sent, or else the last one.
    """
    executions = _executions(tasks, after.hits)
    sent_ns, acknowledged = _offers(submits)
    # Each of these may cause a redelivery, so the drain is measured from the last (METHOD M29).
    calm_ns = max([after.over_ns, *sent_ns.values()])
    busy_ns = _busy_ns(executions, after)
    overtaking_ns = max((sent_ns.get(task_id, 0) for task_id in executions), default=0)
    rows = []
    for task_id, before in zip(table["task_id"], table["outcome"], strict=True):
        runs, state = executions.get(task_id, []), after.states.get(task_id)
        outcome = TaskOutcome(before)
        if outcome not in _DECIDED_BEFORE:
            since_ns = max([calm_ns, *(run.t3_ns for run in runs)])
            # While the system starts any, it is only slow.
            is_overtaken = sent_ns.get(task_id, 0) <= overtaking_ns
            if _waits(state, is_started=bool(runs), is_overtaken=is_overtaken):
                since_ns = max(since_ns, busy_ns)
            has_record = state is not TaskState.MISSING
            is_over = after.lasted_since(since_ns, is_started=bool(runs), has_record=has_record)
            # It ran after the drain, so a longer drain would have seen it.
            is_over &= task_id not in after.late
            ends = [run.outcome for run in runs]
            is_acknowledged = task_id in acknowledged
            outcome = _returned(ends, state, is_acknowledged=is_acknowledged) or _missing(
                ends, state, is_acknowledged=is_acknowledged, is_over=is_over
            )
        # Backwards: a task that was delivered again may be interrupted a second time.
        hit = next((hit for hit in reversed(after.hits) if task_id in hit.task_ids), None)
        # Not the first start: a child may begin a task between the hit's instant and its own death.
        again = next((run for run in runs[1:] if hit and run.t3_ns > hit.at_ns), None)
        delay_ns = again.t3_ns - hit.at_ns if again and hit else None
        # A hit of a server can lose a task that no worker was executing.
        if hit is None and outcome is not TaskOutcome.OK:
            hit = _attributed(sent_ns.get(task_id), after.hits)
        number = hit.number if hit else None
        rows.append((outcome, state or "", number, delay_ns, again.place if again else ""))
    # Objects first, because pandas turns nanoseconds beside a null into floats.
    judged = pd.DataFrame(rows, columns=list(_TYPES), index=table.index, dtype="object")
    judged = judged.astype(_TYPES)
    return table.assign(**{name: judged[name] for name in _TYPES})


def stopped_consuming(
    judged: pd.DataFrame, tasks: pd.DataFrame, submits: pd.DataFrame, after: Aftermath
) -> bool:
    """Return whether the system accepts tasks and starts none of them; workers must be alive.

    That is the case if nothing started since the last hit was over, for as long as `classify` waits
    for a redelivery, and a task waits that no hit can have lost: it was acknowledged after that, or
    the system reports that it is queued.

    Args:
        judged: The result of `classify`.
        tasks: `TaskRow` columns, as for `classify`.
        submits: `SubmitRow` columns.
        after: The hits, the states, and the end of the drain.
    """
    sent_ns, acknowledged = _offers(submits)
    busy_ns = max([after.over_ns, *map(int, tasks["t3_ns"].dropna())])
    waiting = judged[judged["outcome"].isin([TaskOutcome.LOST_SILENT, TaskOutcome.UNDECIDED])]
    waiting = waiting[(waiting["starts"] == 0) & waiting["task_id"].isin(acknowledged)]
    return after.lasted_since(busy_ns) and any(
        state == TaskState.QUEUED or sent_ns.get(task_id, 0) > after.over_ns
        for task_id, state in zip(waiting["task_id"], waiting["state"], strict=True)
    )


def _offers(submits: pd.DataFrame) -> tuple[dict[int, int], set[int]]:
    """Return the instant of the submit call of each task of the window, and those acknowledged."""
    window = submits[submits["phase"] == Phase.MEASURE]
    sent = window[window["t1_ns"].notna()]
    sent_ns = {int(i): int(at) for i, at in zip(sent["task_id"], sent["t1_ns"], strict=True)}
    return sent_ns, set(window.loc[window["ack"] == Ack.OK, "task_id"])


def _executions(tasks: pd.DataFrame, hits: Sequence[ProvedHit]) -> dict[int, list[_TaskStart]]:
    """Return the started executions of each task, in the order of their starts.

    An execution that ended with its record is known from the hit, as if it had started then.
    """
    # Stable, so that executions with equal instants have the same order in every analysis.
    started = tasks[tasks["t3_ns"].notna()].sort_values("t3_ns", kind="stable")
    runs: dict[int, list[_TaskStart]] = {}
    row: Any
    for row in started.itertuples(index=False):
        place = f"node {row.node}, pid {row.worker.partition(':')[0]}"
        runs.setdefault(row.task_id, []).append(_TaskStart(int(row.t3_ns), row.outcome, place))
    for hit in hits:
        for task_id in hit.task_ids if hit.takes_records else ():
            starts = runs.setdefault(task_id, [])
            if all(start.t3_ns > hit.at_ns for start in starts):
                starts.insert(0, _TaskStart(hit.at_ns, "unfinished", ""))
    return runs


def _busy_ns(executions: Mapping[int, Sequence[_TaskStart]], after: Aftermath) -> int:
    """Return the last start of any task; the end of the drain if tasks ran after it."""
    if after.late:
        return after.end_ns
    return max((run.t3_ns for runs in executions.values() for run in runs), default=0)


def _waits(state: TaskState | None, *, is_started: bool, is_overtaken: bool) -> bool:
    """Return whether a task waits behind others, as far as the system or its order shows.

    Of a system that reports no state, only the order does: a task may wait as long as no task that
    was sent after it has started.
    """
    if state in (None, TaskState.UNKNOWN):
        return not is_started and not is_overtaken
    return state is TaskState.QUEUED


def _returned(
    ends: Sequence[str], state: TaskState | None, *, is_acknowledged: bool
) -> TaskOutcome | None:
    """Return the outcome of a task with an execution that returned; None if it has none."""
    if not (returned := ends.count("ok")):
        return None
    # Before the state: two returns are in the ledger, and a state never replaces a record.
    if returned > 1:
        return TaskOutcome.DUPLICATED
    if state is TaskState.FAILED:
        return TaskOutcome.FAILED_THOUGH_DONE
    if len(ends) > 1:
        return TaskOutcome.RE_EXECUTED
    return TaskOutcome.OK if is_acknowledged else TaskOutcome.RECOVERED


def _missing(
    ends: Sequence[str], state: TaskState | None, *, is_acknowledged: bool, is_over: bool
) -> TaskOutcome:
    """Return the outcome of a task of which no execution returned."""
    # A raised task with another state, such as queued, may run again: that is no final failure.
    if "raised" in ends and state in (TaskState.FAILED, TaskState.UNKNOWN, None):
        return TaskOutcome.FAILED
    # The system promised nothing for this task, so it is not a loss (METHOD M29).
    if not is_acknowledged:
        return TaskOutcome.PARTIAL if ends else TaskOutcome.REFUSED
    if state is TaskState.FAILED:
        return TaskOutcome.LOST_REPORTED
    # Only now: a failure that the system reports does not depend on the length of the drain.
    if not is_over:
        return TaskOutcome.UNDECIDED
    return TaskOutcome.STUCK if state is TaskState.RUNNING else TaskOutcome.LOST_SILENT


def _attributed(sent_ns: int | None, hits: Sequence[ProvedHit]) -> ProvedHit | None:
    """Return the first hit that was not over when the task was sent, or else the last one."""
    if sent_ns is None or not hits:
        return None
    return next((hit for hit in hits if hit.over_ns >= sent_ns), hits[-1])
