"""Tests KAT-15: each outcome of a trial with a fault is classified exactly (METHOD M28, M29)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.faults import HORIZONS, FaultKind
from lab.core.outcomes import Ack, TaskOutcome, TaskState
from lab.validation.fault_outcomes import SHORTEST_WAIT_S
from tests.factories.scripted_system import EXAMPLES, ScriptedSystem

Outcome = TaskOutcome
ANY_STATE: tuple[TaskState | None, ...] = (None, *TaskState)
NOT_FAILED = tuple(state for state in ANY_STATE if state is not TaskState.FAILED)
SAYS_NOTHING = tuple(state for state in NOT_FAILED if state is not TaskState.RUNNING)
REPORTED = (None, TaskState.FAILED, TaskState.UNKNOWN)
REPORTED_OTHERWISE = (TaskState.QUEUED, TaskState.MISSING, TaskState.FINISHED)
UNSURE = (Ack.ERROR, Ack.UNKNOWN)
KILLED = ("unfinished",)


@dataclass(frozen=True)
class Script:
    """Defines how a system treats a task, its reports about it, and the outcome that must follow.

    `executions` are the ends of its executions: those that are unfinished are interrupted by a hit.
    `early` is the outcome if the drain is too short.
    """

    outcome: TaskOutcome
    acks: tuple[Ack, ...]
    executions: tuple[tuple[str, ...], ...]
    states: tuple[TaskState | None, ...]
    early: TaskOutcome | None = None


ALL = tuple(Ack)
ACKED = (Ack.OK,)
NEVER_RETURNED = ((), KILLED, KILLED * 2, ("cancelled",), ("unfinished", "cancelled"))
RETURNED_TWICE = (("ok", "ok"), ("unfinished", "ok", "ok"), ("ok", "unfinished", "raised", "ok"))
WRONG = (("wrong",), ("wrong", "ok"), ("unfinished", "wrong"))
UNDECIDED = Outcome.UNDECIDED
SCRIPTS = (
    Script(Outcome.OK, ACKED, (("ok",),), NOT_FAILED),
    Script(Outcome.RECOVERED, UNSURE, (("ok",),), NOT_FAILED),
    Script(Outcome.REFUSED, UNSURE, ((),), ANY_STATE),
    Script(Outcome.PARTIAL, UNSURE, (KILLED, KILLED * 2), ANY_STATE),
    Script(Outcome.RE_EXECUTED, ALL, (("unfinished", "ok"), ("raised", "ok")), NOT_FAILED),
    Script(Outcome.RE_EXECUTED, ALL, (("ok", "unfinished"),), NOT_FAILED),
    Script(Outcome.DUPLICATED, ALL, RETURNED_TWICE, ANY_STATE),
    Script(Outcome.FAILED_THOUGH_DONE, ALL, (("ok",), ("unfinished", "ok")), (TaskState.FAILED,)),
    Script(Outcome.FAILED, ALL, (("raised",), ("unfinished", "raised")), REPORTED),
    Script(Outcome.LOST_REPORTED, ACKED, NEVER_RETURNED, (TaskState.FAILED,)),
    Script(Outcome.LOST_SILENT, ACKED, NEVER_RETURNED, SAYS_NOTHING, UNDECIDED),
    Script(Outcome.LOST_SILENT, ACKED, (("raised",),), REPORTED_OTHERWISE, UNDECIDED),
    Script(Outcome.STUCK, ACKED, (*NEVER_RETURNED, ("raised",)), (TaskState.RUNNING,), UNDECIDED),
    Script(Outcome.WRONG_ANSWER, ALL, WRONG, ANY_STATE),
)
# A task's script, its acknowledgement, its executions, the reported state, and the hit's number.
Choice = tuple[Script, Ack, tuple[str, ...], TaskState | None, int]
HIT_S, SPACING_S, N_HITS, AGAIN_S = 10.0, 5.0, 3, 0.3


def choices(script: Script) -> st.SearchStrategy[Choice]:
    """Return a strategy for the choices that a script leaves open."""
    return st.tuples(
        st.just(script),
        st.sampled_from(script.acks),
        st.sampled_from(script.executions),
        st.sampled_from(script.states),
        st.integers(0, N_HITS - 1),
    )


def perform(tasks: dict[int, Choice], horizons_s: Horizons) -> ScriptedSystem:
    """Let a system do what the scripts say: interrupted executions start just before a hit.

    Others start after it, `AGAIN_S` apart, and before the hit is over.
    """
    system = ScriptedSystem(*horizons_s)
    interrupted: dict[int, list[int]] = {hit: [] for hit in range(N_HITS)}
    for task_id, (_, ack, executions, state, hit) in tasks.items():
        at_s = HIT_S + SPACING_S * hit
        system.submit(task_id, at_s - 1.0, ack)
        for place, outcome in enumerate(executions):
            system.execute(task_id, at_s - 0.02 + place * AGAIN_S, outcome)
        if executions[:1] == KILLED:
            interrupted[hit].append(task_id)
        if state is not None:
            system.states[task_id] = state
    for hit, task_ids in interrupted.items():
        at_s = HIT_S + SPACING_S * hit
        system.hit(at_s, task_ids, over_s=at_s + 1.0)
    return system


HISTORIES = st.dictionaries(
    st.integers(0, 2**40), st.one_of(*map(choices, SCRIPTS)), min_size=1, max_size=12
)
# Of tasks that wait, and of tasks that have started: the last system acknowledges early.
Horizons = tuple[float | None, float | None]
HORIZONS_S: st.SearchStrategy[Horizons] = st.sampled_from(
    [(None, None), (0.0, 0.0), (5.0, 5.0), (3_700.0, 3_700.0), (3_700.0, None)]
)


def needed_s(horizon_s: float | None) -> float:
    """Return the shortest drain that decides whether a task is lost."""
    return max(HORIZONS * (horizon_s or 0.0), SHORTEST_WAIT_S)


@EXAMPLES
@given(HISTORIES, HORIZONS_S)
def test_kat_15_every_outcome_is_classified_exactly(
    tasks: dict[int, Choice], horizons_s: Horizons
) -> None:
    """A drain of one and a half horizons decides every task; each class is as scripted."""
    system = perform(tasks, horizons_s)
    end_s = system.last_event_s + needed_s(horizons_s[0])
    assert system.outcomes(end_s) == {i: choice[0].outcome for i, choice in tasks.items()}


@EXAMPLES
@given(HISTORIES, HORIZONS_S)
def test_kat_15_a_drain_that_is_too_short_decides_no_loss(
    tasks: dict[int, Choice], horizons_s: Horizons
) -> None:
    """Missing tasks are unknown, unless reported, without a record, or acknowledged early."""
    system = perform(tasks, horizons_s)
    end_s = max(row.restarted_ns or 0 for row in system.faults) / 1e9
    end_s += needed_s(horizons_s[0]) - 0.001
    is_early = horizons_s[0] != horizons_s[1]
    has_horizon = needed_s(horizons_s[0]) > SHORTEST_WAIT_S
    expected = {}
    for task_id, (script, _, executions, state, _) in tasks.items():
        is_gone = has_horizon and state is TaskState.MISSING
        is_decided = (is_early and executions) or is_gone
        expected[task_id] = script.outcome if is_decided else script.early or script.outcome
    assert system.outcomes(end_s) == expected


@EXAMPLES
@given(tasks=HISTORIES, horizons_s=HORIZONS_S, is_long=st.booleans())
def test_kat_15_the_outcomes_agree_with_the_sets_of_the_method(
    *, tasks: dict[int, Choice], horizons_s: Horizons, is_long: bool
) -> None:
    """An oracle from sets alone: acknowledged, started, returned, and reported tasks (M28)."""
    system = perform(tasks, horizons_s)
    end_s = system.last_event_s + (needed_s(horizons_s[0]) if is_long else 1.0)
    of: dict[TaskOutcome, set[int]] = {outcome: set() for outcome in TaskOutcome}
    for task_id, outcome in system.outcomes(end_s).items():
        of[TaskOutcome(outcome)].add(task_id)
    acknowledged = {row.task_id for row in system.submits if row.ack == Ack.OK}
    ends = Counter(run["task_id"] for run in system.executions if run["outcome"] == "ok")
    starts = Counter(run["task_id"] for run in system.executions)
    reported = {i for i, state in system.states.items() if state is TaskState.FAILED}
    never = {i for i in tasks if not ends[i]} - of[Outcome.FAILED]
    lost = of[Outcome.LOST_SILENT] | of[Outcome.STUCK] | of[Outcome.LOST_REPORTED]
    right = {i for i in tasks if ends[i]} - of[Outcome.WRONG_ANSWER]
    assert lost | of[UNDECIDED] == never & acknowledged
    assert not (lost - reported if not is_long else of[UNDECIDED])
    assert of[Outcome.LOST_REPORTED] == never & acknowledged & reported
    assert of[Outcome.REFUSED] | of[Outcome.PARTIAL] == never - acknowledged
    assert of[Outcome.REFUSED] == {i for i in never - acknowledged if not starts[i]}
    assert of[Outcome.DUPLICATED] == {i for i in right if ends[i] > 1}
    once = right - of[Outcome.DUPLICATED]
    assert of[Outcome.FAILED_THOUGH_DONE] == once & reported
    assert of[Outcome.RE_EXECUTED] == {i for i in once - reported if starts[i] > 1}
    served = {i for i in once - reported if starts[i] == 1}
    assert of[Outcome.OK] == served & acknowledged
    assert of[Outcome.RECOVERED] == served - acknowledged


@EXAMPLES
@given(HISTORIES)
def test_every_deviation_belongs_to_the_hit_that_caused_it(tasks: dict[int, Choice]) -> None:
    """An interrupted task has its hit, the delay to its next start and the process that took it."""
    system = perform(tasks, (None, None))
    table, _ = system.judged(system.last_event_s + SHORTEST_WAIT_S)
    row: Any
    for row in table.itertuples():
        _, _, executions, _, hit = tasks[row.task_id]
        is_interrupted = executions[:1] == KILLED
        assert pd_none(row.hit) == (None if row.outcome == "ok" else hit)
        again = is_interrupted and len(executions) > 1
        assert pd_none(row.redelivery_ns) == (280_000_000 if again else None)
        mine = [run["worker"] for run in system.executions if run["task_id"] == row.task_id]
        pid = mine[1].partition(":")[0] if again else ""
        assert row.taken_over_by == (f"node 0, pid {pid}" if again else "")


def pd_none(value: object) -> object:
    """Return None for the null of a table."""
    return None if str(value) == "<NA>" else value


@pytest.mark.parametrize("horizon_s", [None, 0.0, 1.0, 61.0])
@pytest.mark.parametrize(
    ("missing_s", "outcome"),
    [(0.0, Outcome.LOST_SILENT), (1e-6, UNDECIDED)],
    ids=["enough", "too short"],
)
def test_a_task_is_lost_after_one_and_a_half_horizons(
    horizon_s: float | None, missing_s: float, outcome: TaskOutcome
) -> None:
    """The wait begins when the part that the hit ended has been restarted."""
    system = ScriptedSystem(None, horizon_s)
    system.submit(1, 1.0)
    system.execute(1, 1.1, "unfinished")
    system.hit(2.0, [1], over_s=3.0)
    assert system.outcomes(3.0 + max(1.5 * (horizon_s or 0.0), 2.0) - missing_s) == {1: outcome}


def test_a_task_that_runs_again_and_again_is_not_lost() -> None:
    """The last start begins a new wait, because the system may deliver it once more."""
    system = ScriptedSystem(started_horizon_s=4.0)
    system.submit(1, 1.0)
    system.hit(2.0, [1])
    for at_s in (1.1, 6.0, 11.0):
        system.execute(1, at_s, "unfinished")
    assert system.outcomes(16.9) == {1: UNDECIDED}
    assert system.outcomes(17.0) == {1: Outcome.LOST_SILENT}


@pytest.mark.parametrize("state", [None, TaskState.RUNNING, TaskState.FINISHED, TaskState.MISSING])
def test_a_task_that_returns_after_the_drain_is_unknown(state: TaskState | None) -> None:
    """It was not lost, and did not finish in time; the states were read after that."""
    system = ScriptedSystem(horizon_s=0.0)
    system.submit(1, 1.0)
    system.execute(1, 9.99)
    system.hit(2.0, [])
    system.states = {} if state is None else {1: state}
    assert system.outcomes(10.0) == {1: UNDECIDED}


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.NONE, "hit"), (FaultKind.WORKER_KILL, "missed")]
)
def test_a_fault_that_hits_nothing_shows_nothing(kind: FaultKind, status: str) -> None:
    """The control, and a hit that missed: every task is ok and belongs to no hit."""
    system = ScriptedSystem(horizon_s=60.0)
    for task_id in range(20):
        system.submit(task_id, task_id)
        system.execute(task_id, task_id + 0.01)
        system.states[task_id] = TaskState.FINISHED
    for at_s in (3.0, 7.0, 12.0):
        system.hit(at_s, [int(at_s)], kind=kind, status=status)
    table, has_stopped = system.judged(21.0)
    assert not has_stopped
    assert table["outcome"].tolist() == ["ok"] * 20
    assert table[["hit", "redelivery_ns"]].isna().to_numpy().all()
    assert table["taken_over_by"].tolist() == [""] * 20


def halted(horizon_s: float | None, last_start_s: float) -> ScriptedSystem:
    """Return a system that accepts tasks after a hit at 5 s; the last one starts before."""
    system = ScriptedSystem(horizon_s)
    for task_id in range(10):
        system.submit(task_id, float(task_id))
    for task_id in range(5):
        system.execute(task_id, min(float(task_id), last_start_s))
    system.hit(5.0, [])
    return system


def test_a_system_that_starts_nothing_after_a_hit_has_stopped_consuming() -> None:
    """Tasks that were accepted after the hit wait longer than the redelivery horizon."""
    system = halted(10.0, 4.0)
    assert not system.judged(19.9)[1]
    assert system.judged(20.0)[1]


def test_a_system_that_consumes_or_refuses_has_not_stopped() -> None:
    """A later start, a refused task or a lost one is no sign of a halt."""
    system = halted(0.0, 4.0)
    system.execute(5, 11.0)
    assert not system.judged(12.9)[1]
    refusing = ScriptedSystem(0.0)
    refusing.submit(1, 1.0)
    refusing.hit(2.0, [])
    refusing.submit(2, 3.0, Ack.ERROR)
    assert not refusing.judged(60.0)[1]  # the hit may have lost task 1
    refusing.states[1] = TaskState.QUEUED
    assert refusing.judged(60.0)[1]
