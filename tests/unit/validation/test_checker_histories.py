"""Tests that random histories with injected faults are classified exactly (KAT-10, METHOD M28)."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from lab.core.outcomes import Ack, TaskOutcome
from lab.validation.checker import counts, outcomes


@dataclass(frozen=True)
class Fate:
    """The history of one task: its acknowledgement, its executions, and the expected class."""

    outcome: TaskOutcome
    ack: str
    runs: tuple[str, ...]


UNSURE = st.sampled_from([Ack.ERROR, Ack.UNKNOWN])
ANY_ACK = st.sampled_from(list(Ack))
RESTARTS = st.lists(st.just("unfinished"), max_size=2).map(tuple)
NOT_RUN = st.sampled_from([(), ("unstarted",)])


def fates(
    outcome: TaskOutcome,
    ack: st.SearchStrategy[Ack],
    runs: st.SearchStrategy[tuple[str, ...]],
    restarts: st.SearchStrategy[tuple[str, ...]] = RESTARTS,
) -> st.SearchStrategy[Fate]:
    """Return a strategy for fates of one class; killed workers may have restarted the task."""
    return st.builds(
        lambda ack, killed, runs: Fate(outcome, ack, killed + runs), ack, restarts, runs
    )


ENDS = st.lists(st.sampled_from(["ok", "raised", "cancelled"]), min_size=2, max_size=4)
FATES = st.one_of(
    fates(TaskOutcome.OK, st.just(Ack.OK), st.just(("ok",))),
    fates(TaskOutcome.LOST_SILENT, st.just(Ack.OK), NOT_RUN, st.just(())),
    fates(TaskOutcome.REFUSED, UNSURE, NOT_RUN, st.just(())),
    fates(TaskOutcome.RECOVERED, UNSURE, st.just(("ok",))),
    fates(TaskOutcome.PARTIAL, ANY_ACK, st.just(("unfinished",))),
    fates(TaskOutcome.FAILED, ANY_ACK, st.sampled_from([("raised",), ("raised", "cancelled")])),
    fates(TaskOutcome.DUPLICATED, ANY_ACK, ENDS.filter(lambda ends: "ok" in ends).map(tuple)),
    fates(
        TaskOutcome.WRONG_ANSWER,
        ANY_ACK,
        st.sampled_from([("wrong",), ("wrong", "ok"), ("ok", "wrong"), ("raised", "wrong")]),
    ),
    # An unexpected task has no acknowledgement; it may or may not finish.
    fates(TaskOutcome.UNEXPECTED, st.just(Ack.OK), st.sampled_from([("ok",), ("unfinished",)])),
)


def history(
    fates_by_id: dict[int, Fate], before: list[int]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return executions and offers in the order of ids; `before` are tasks of the warm-up."""
    offers: list[dict[str, object]] = [
        {"task_id": i, "phase": "measure", "ack": str(fate.ack)}
        for i, fate in fates_by_id.items()
        if fate.outcome is not TaskOutcome.UNEXPECTED
    ]
    offers += [{"task_id": i, "phase": "warm_up", "ack": "ok"} for i in before]
    runs = [(i, outcome) for i, fate in fates_by_id.items() for outcome in fate.runs]
    executions: list[dict[str, object]] = [
        {
            "task_id": i,
            "t3_ns": None if outcome == "unstarted" else 10,
            "t4_ns": None if outcome in {"unstarted", "unfinished"} else 20,
            "outcome": "ok" if outcome == "wrong" else outcome,
            "answer": {"ok": right(i), "wrong": right(i) + 1}.get(outcome),
        }
        for i, outcome in [*runs, *((i, "ok") for i in before)]
    ]
    return executions, offers


def right(task_id: int) -> int:
    """Return the checksum of a task's right answer: 63 bits, which a float would round."""
    return 2**62 + task_id


@given(
    st.dictionaries(st.integers(0, 2**40), FATES, min_size=1, max_size=30),
    st.lists(st.integers(2**41, 2**42), unique=True, max_size=3),
    st.randoms(use_true_random=False),
)
def test_kat_10_injected_faults_are_classified_exactly(
    fates_by_id: dict[int, Fate], before: list[int], order: random.Random
) -> None:
    """The faults: loss, duplicates, unexpected tasks, wrong answers, unknown acks and order."""
    executions, offers = history(fates_by_id, before)
    order.shuffle(executions)
    order.shuffle(offers)
    integers = ["t3_ns", "t4_ns", "answer"]
    columns = ["task_id", *integers, "outcome"]
    tasks = pd.DataFrame(executions, columns=columns, dtype="object").astype(
        {"task_id": "int64", "outcome": "str", **dict.fromkeys(integers, "Int64")}
    )
    submits = pd.DataFrame(offers, columns=["task_id", "phase", "ack"]).assign(trial_id="t")
    table = outcomes(tasks.assign(trial_id="t"), submits, {i: right(i) for i in fates_by_id})
    outcome_of = dict(zip(table["task_id"], table["outcome"], strict=True))
    assert outcome_of == {i: fate.outcome for i, fate in fates_by_id.items()}
    assert sum(counts(table).values()) == len(fates_by_id)
    starts = {i: sum(r != "unstarted" for r in fate.runs) for i, fate in fates_by_id.items()}
    assert dict(zip(table["task_id"], table["starts"], strict=True)) == starts
