"""Tests the answer about failures: it has every system and fault, and the rows behind it."""

from __future__ import annotations

from lab.report.answers import answers
from lab.report.answers.failures import failures
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import with_faults


def test_each_fault_has_a_sentence_with_every_system_that_was_tried() -> None:
    """The count has its bound; a skipped fault is not in the answer."""
    tables = with_faults(campaign(SMALL))
    pools, queues, *rest = failures(tables)
    assert pools.text.startswith("Pool, hits after which no task was lost")
    assert pools.parts == ["thread-pool 4 of 4 survived"]
    assert queues.text.startswith("At-most-once job queue, hits after which no task was lost")
    assert queues.parts == ["rq 4 of 8 survived"]
    parts = {sentence.words: list(sentence.parts) for sentence in rest}
    assert parts["worker-kill"] == [
        "rq lost (8 of 428 tasks, 0.81 % to 3.6 %)",
        "thread-pool ok (0 of 428 tasks, at most 0.86 %)",
    ]
    recovered = ["rq recovered after 61.0 s (0 of 428 tasks, at most 0.86 %)"]
    assert parts["broker-kill:aof-always"] == recovered
    known = set(tables["trial"]["trial_id"])
    assert all(sentence.rows and set(sentence.rows) <= known for sentence in [pools, queues, *rest])


def test_without_faults_there_is_no_answer() -> None:
    """No sentence, so that the page says what is missing."""
    (answered,) = (a for a in answers(campaign(SMALL)) if a.question.name == "faults")
    assert answered.said == []


def test_losses_without_faults_do_not_count_those_of_faults() -> None:
    """A task that a kill lost is no loss of a run in which nothing failed."""
    plain = campaign(SMALL)
    texts = [
        [s.text for a in answers(tables) if a.question.name == "lost" for s in a.said]
        for tables in (plain, with_faults(plain))
    ]
    assert texts[0] == texts[1]
