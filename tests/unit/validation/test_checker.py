"""Tests the class that the checker gives to each task (METHOD M28)."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd
import pytest

from lab.core.outcomes import TaskOutcome
from lab.results.schema.task import OutcomeRow, SubmitRow, TaskRow
from lab.validation.checker import (
    ceiling_per_s,
    counts,
    negative_durations,
    outcomes,
    waiting,
    without_records,
)

BIG = 2**62 + 1  # a checksum that a float would round
LEDGER_TYPES = dict.fromkeys(
    ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns", "node", "answer"], "Int64"
)


def submit(task_id: int, ack: str = "ok", phase: str = "measure") -> SubmitRow:
    """Return one row of the driver's journal."""
    return SubmitRow("trial", task_id, phase, 0, 1, 2, ack)


def run(
    task_id: int, outcome: str = "ok", answer: int | None = BIG, phase: str = "measure"
) -> TaskRow:
    """Return one execution with an outcome; an unstarted one has no instants."""
    t3 = None if outcome == "unstarted" else 3
    t4 = None if outcome in {"unstarted", "unfinished"} else 4
    answer = answer if outcome == "ok" else None
    return TaskRow("trial", task_id, 1, phase, 0, 1, 2, t3, t4, None, 0, "1:1", outcome, answer)


def tables(submits: list[SubmitRow], runs: list[TaskRow]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of executions and submits, with the types of the store."""
    # Object first, because pandas turns a column of integers and nulls into floats.
    tasks = pd.DataFrame(runs, columns=[f.name for f in fields(TaskRow)], dtype="object")
    return tasks.astype({"task_id": "int64", "outcome": "str", **LEDGER_TYPES}), pd.DataFrame(
        submits, columns=[f.name for f in fields(SubmitRow)]
    )


@pytest.mark.parametrize(
    ("ack", "runs", "outcome"),
    [
        ("ok", [run(7)], TaskOutcome.OK),
        ("ok", [], TaskOutcome.LOST_SILENT),
        ("ok", [run(7, "unstarted")], TaskOutcome.LOST_SILENT),
        ("ok", [run(7, "unfinished")], TaskOutcome.PARTIAL),
        ("ok", [run(7, "raised")], TaskOutcome.FAILED),
        ("ok", [run(7, "cancelled")], TaskOutcome.FAILED),
        ("ok", [run(7), run(7)], TaskOutcome.DUPLICATED),
        ("ok", [run(7, answer=BIG + 1)], TaskOutcome.WRONG_ANSWER),
        # The lab could not check the answer, so no error of the system is known.
        ("ok", [run(7, answer=None)], TaskOutcome.OK),
        ("error", [run(7)], TaskOutcome.RECOVERED),
        ("unknown", [run(7)], TaskOutcome.RECOVERED),
        ("error", [], TaskOutcome.REFUSED),
        ("unknown", [run(7, "unstarted")], TaskOutcome.REFUSED),
        # Redelivered after a worker was killed, and finished once.
        ("ok", [run(7, "unfinished"), run(7)], TaskOutcome.OK),
        # Two classes apply: the first one in the order counts.
        ("ok", [run(7, answer=1), run(7)], TaskOutcome.WRONG_ANSWER),
        ("error", [run(7, answer=1)], TaskOutcome.WRONG_ANSWER),
        ("ok", [run(7, "raised"), run(7, "raised")], TaskOutcome.FAILED),
        ("error", [run(7, "raised")], TaskOutcome.FAILED),
        ("ok", [run(7, "raised"), run(7)], TaskOutcome.DUPLICATED),
        ("error", [run(7), run(7)], TaskOutcome.DUPLICATED),
        ("error", [run(7, "unfinished")], TaskOutcome.PARTIAL),
    ],
)
def test_each_task_has_one_class(ack: str, runs: list[TaskRow], outcome: TaskOutcome) -> None:
    """Every combination of acknowledgement and executions has one class, in a fixed order."""
    table = outcomes(*tables([submit(7, ack)], runs), {7: BIG})
    assert table["outcome"].tolist() == [outcome]
    assert counts(table) == {v: int(v == outcome) for v in TaskOutcome}


def test_only_an_execution_without_a_submit_in_any_phase_is_unexpected() -> None:
    """Tasks of the warm-up are neither unexpected nor tasks of the window."""
    submits = [submit(1, phase="verify"), submit(2, phase="warm_up"), submit(3)]
    runs = [run(1, phase="verify"), run(2, phase="warm_up", answer=0), run(3), run(9, phase="")]
    table = outcomes(*tables(submits, runs), {3: BIG})
    assert dict(zip(table["task_id"], table["outcome"], strict=True)) == {3: "ok", 9: "unexpected"}
    assert list(table.columns) == [f.name for f in fields(OutcomeRow)]


def test_starts_and_completions_are_counted_separately() -> None:
    """An execution that never finished is a start and no completion."""
    runs = [run(1), run(1, "unfinished"), run(1), run(2, "unstarted")]
    table = outcomes(*tables([submit(1), submit(2)], runs), {1: BIG, 2: BIG})
    assert table[["starts", "completions"]].to_numpy().tolist() == [[3, 2], [0, 0]]
    assert table["starts"].dtype == "int64"


def test_a_trial_without_records_has_no_verdicts() -> None:
    """Empty tables of executions, of submits, or of both raise no error."""
    assert sum(counts(outcomes(*tables([], []), {})).values()) == 0
    assert counts(outcomes(*tables([submit(1)], []), {1: 0}))[TaskOutcome.LOST_SILENT] == 1
    assert counts(outcomes(*tables([], [run(1)]), {}))[TaskOutcome.UNEXPECTED] == 1


def test_a_task_whose_record_may_be_missing_is_not_lost() -> None:
    """Of tasks that were lost or did not finish, nothing is known; the others keep their class."""
    runs = [run(1), run(2, "unstarted"), run(3, "unfinished"), run(4, "raised"), run(5, answer=1)]
    submits = [submit(task_id) for task_id in range(1, 6)]
    table = outcomes(*tables(submits, runs), dict.fromkeys(range(1, 6), BIG))
    assert table.outcome.tolist() == ["ok", "lost-silent", "partial", "failed", "wrong-answer"]
    known = without_records(table)
    assert known.outcome.tolist() == ["ok", "unknown", "unknown", "failed", "wrong-answer"]
    known = without_records(table, proven={3})
    assert known.outcome.tolist() == ["ok", "unknown", "partial", "failed", "wrong-answer"]


def test_the_ceiling_of_the_drivers_is_that_of_their_submit_calls() -> None:
    """Calls of 1 us and 3 us: 500,000 in a second; a call that did not return has no duration.

    Three drivers submit three times as many.
    """
    sent = pd.DataFrame({"t1_ns": [0, 10_000, 20_000], "t2_ns": [1_000, 13_000, None]})
    assert ceiling_per_s(sent, 1) == pytest.approx(500_000.0)
    assert ceiling_per_s(sent, 3) == pytest.approx(1_500_000.0)
    assert ceiling_per_s(sent.iloc[2:], 1) is None


def test_negative_durations_counts_only_impossible_ones() -> None:
    """Four durations cannot be negative; a start before the return of submit is possible."""
    tasks, _ = tables([], [run(1), run(2, "unstarted"), run(3), run(4), run(5), run(6)])
    assert negative_durations(tasks) == 0
    tasks.loc[0, "t2_ns"] = 99
    assert negative_durations(tasks) == 0
    for row, (column, value) in enumerate(
        {"t1_ns": -1, "t2_ns": 0, "t3_ns": 0, "t4_ns": 2}.items(), start=2
    ):
        tasks.loc[row, column] = value
    assert negative_durations(tasks) == 4


@pytest.mark.parametrize(
    ("runs", "end_ns", "outcome"),
    [
        ([run(7)], 100, TaskOutcome.LOST_SILENT),  # idle for nearly all of the drain
        ([run(7)], 5, TaskOutcome.LOST_SILENT),  # a tenth of 4 ns is less than the 1 ns since then
        ([run(7)], 4, TaskOutcome.UNDECIDED),  # a task ended when the drain did
        ([run(7, "unfinished")], 100, TaskOutcome.UNDECIDED),  # a task was still executing
        ([], 100, TaskOutcome.LOST_SILENT),  # nothing was ever executed
        ([run(7)], None, TaskOutcome.LOST_SILENT),
    ],
)
def test_a_task_that_waits_behind_others_is_not_lost(
    runs: list[TaskRow], end_ns: int | None, outcome: TaskOutcome
) -> None:
    """A slow system that the deadline cuts off has lost nothing."""
    tasks, submits = tables([submit(7), submit(8)], runs)
    table = waiting(outcomes(tasks, submits, None), tasks, submits, end_ns)
    assert table.set_index("task_id")["outcome"][8] == outcome
