"""Tests the checks of delivery, and that each promise names its source and an existing label."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from lab.claims import delivery
from lab.claims.checks import TrialRecords
from lab.claims.criteria import CHILD_KILLED, CRITERIA, KILLED, plan
from lab.claims.promises import PROMISES, UNTRIED
from lab.claims.published_claims import PUBLISHED
from lab.core.faults import FaultKind
from tests.unit.claims.test_claims import ONE_AFTER_ANOTHER, records


def killed(outcomes: Sequence[str], ids: Sequence[int]) -> TrialRecords:
    """Return a trial with one execution for each outcome, of the tasks `ids`."""
    return records(ONE_AFTER_ANOTHER[: len(ids)], task_id=list(ids), outcome=list(outcomes))


AGAIN = killed(["unfinished", "ok", "ok"], [0, 1, 0])
GONE = killed(["unfinished", "ok", "ok"], [0, 1, 2])
STARTED = killed(["unfinished", "unfinished", "ok"], [0, 0, 1])
UNTOUCHED = killed(["ok", "ok", "ok"], [0, 1, 2])


@pytest.mark.parametrize(
    ("trial", "again", "never"),
    [(AGAIN, True, False), (GONE, False, True), (STARTED, False, False), (UNTOUCHED, None, None)],
)
def test_an_interrupted_task_is_executed_again_or_not(
    trial: TrialRecords, again: bool | None, never: bool | None
) -> None:
    """A kill that interrupted nothing decides nothing; a second interruption is no delivery."""
    assert delivery.executed_again([trial]).holds is again
    assert delivery.never_again([trial]).holds is never


def test_the_evidence_counts_the_interrupted_tasks() -> None:
    """One of one ended later."""
    assert delivery.executed_again([AGAIN]).why == "1 of 1 interrupted tasks ended later"


def test_a_promise_is_a_claim_with_its_source() -> None:
    """The sentence ends in its source, and is judged like every published claim."""
    sentences = [claim.statement for claims in PROMISES.values() for claim in claims]
    sentences += [words for of_system in UNTRIED.values() for words in of_system]
    assert [words for words in sentences if not re.search(r"\(.*(\.rst|\.md).*\)$", words)] == []
    for name, claims in PROMISES.items():
        assert set(claims) <= set(PUBLISHED[name].claims)


def test_a_promise_is_tested_by_a_kill() -> None:
    """The trials of its criterion have a fault, and share them with no other criterion."""
    for trials, kind in ((KILLED, FaultKind.WORKER_KILL), (CHILD_KILLED, FaultKind.CHILD_KILL)):
        names = [name for name, q in CRITERIA.items() if q.trials is trials]
        (spec,) = plan([(name, "celery") for name in names], 1).trials
        assert spec.fault is not None
        assert spec.fault.kind is kind
        assert [name for name, q in CRITERIA.items() if q.trials.includes(spec)] == names
