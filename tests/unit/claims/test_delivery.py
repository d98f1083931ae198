"""Tests the checks of delivery, and that each promise names its source and an existing label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from lab.claims import criteria, delivery
from lab.claims.checks import TrialRecords
from lab.claims.criteria import CHILD_KILLED, CRITERIA, KILLED, POISONED, plan
from lab.claims.promises import PROMISES, UNTRIED
from lab.claims.published_claims import PUBLISHED
from lab.core.errors import ClusterError
from lab.core.faults import FaultKind
from lab.core.model import Burst
from tests.unit.claims.test_claims import ONE_AFTER_ANOTHER, records

# A page or a module of the documentation, or an issue, in parentheses at the end.
SOURCE = re.compile(r"\(.*(\.rst|\.md|\.txt|\.py|#\d+).*\)$")


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


def after(outcome: str, ack: str, n_hits: int = 1) -> TrialRecords:
    """Return a trial in which a kill interrupted task 0, with its outcome; task 1 ended."""
    rows = [(0, outcome, ack), (1, "ok", "ok")]
    trial = killed(["unfinished", "ok"], [0, 1])
    return replace(
        trial,
        row=replace(trial.row, n_hits=n_hits),
        outcomes=pd.DataFrame(rows, columns=["task_id", "outcome", "ack"]),
    )


@pytest.mark.parametrize(
    ("outcome", "ack", "reported", "stuck"),
    [
        ("lost-reported", "ok", True, False),
        # The call of a batch has raised, so none of its tasks was acknowledged.
        ("partial", "error", True, False),
        ("partial", "unknown", False, False),
        ("lost-silent", "ok", False, False),
        ("stuck", "ok", False, True),
    ],
)
def test_a_task_that_never_ended_is_reported_or_seems_to_run(
    outcome: str, ack: str, reported: bool, stuck: bool
) -> None:
    """The state that the system reports decides, or a submit call that raised."""
    trial = after(outcome, ack)
    assert delivery.reported([trial]).holds is reported
    assert delivery.stuck([trial]).holds is stuck


def test_a_pool_that_breaks_reports_by_its_next_submit_calls() -> None:
    """The kill interrupted no task, and the pool raises for each task that it is given later."""
    trial = replace(UNTOUCHED, outcomes=after("ok", "ok").outcomes)
    later = pd.DataFrame([(9, "refused", "error")], columns=trial.outcomes.columns)
    trial = replace(trial, outcomes=pd.concat([trial.outcomes, later]))
    assert delivery.reported([trial]).holds is True


def test_a_kill_that_lost_nothing_shows_no_report() -> None:
    """All tasks ended, so there is nothing that the system had to report."""
    again = replace(AGAIN, outcomes=after("re-executed", "ok").outcomes)
    assert delivery.reported([again]).holds is None
    assert delivery.stuck([again]).holds is None


@pytest.mark.parametrize(
    ("outcome", "ack", "n_hits", "holds"),
    [
        ("lost-silent", "ok", 1, False),
        ("unknown", "ok", 1, None),
        # Never acknowledged, so nothing was promised.
        ("partial", "unknown", 1, True),
        ("lost-silent", "ok", 0, None),
    ],
)
def test_an_acknowledged_task_has_to_end(
    outcome: str, ack: str, n_hits: int, holds: bool | None
) -> None:
    """A kill has to hit, and a drain that is too short decides nothing."""
    assert delivery.acknowledged_ended([after(outcome, ack, n_hits)]).holds is holds


def test_the_evidence_counts_the_interrupted_tasks() -> None:
    """One of one ended later."""
    assert delivery.executed_again([AGAIN]).why == "1 of 1 interrupted tasks ended later"


def test_a_promise_is_a_claim_with_its_source() -> None:
    """The sentence ends in its source, and is judged like every published claim."""
    sentences = [claim.statement for claims in PROMISES.values() for claim in claims]
    sentences += [words for of_system in UNTRIED.values() for words in of_system]
    assert [words for words in sentences if not re.search(SOURCE, words)] == []
    for name, claims in PROMISES.items():
        assert set(claims) <= set(PUBLISHED[name].claims)


def test_a_promise_is_tested_by_a_kill() -> None:
    """The trials of its criterion have a fault, and share them with no other criterion."""
    tested = (
        (KILLED, FaultKind.WORKER_KILL),
        (CHILD_KILLED, FaultKind.CHILD_KILL),
        (POISONED, FaultKind.POISON),
    )
    for trials, kind in tested:
        names = [name for name, q in CRITERIA.items() if q.trials is trials]
        (spec,) = plan([(name, "celery") for name in names], 1).trials
        assert spec.fault is not None
        assert spec.fault.kind is kind
        assert [name for name, q in CRITERIA.items() if q.trials.includes(spec)] == names


def test_a_backend_without_single_tasks_is_killed_in_a_batch() -> None:
    """The call of joblib gets as many tasks as the paced ones of other backends."""
    (joblib,) = plan([("reported", "joblib")], 1).trials
    (pool,) = plan([("reported", "process-pool")], 1).trials
    assert joblib.arrival == Burst(pool.arrival.n_tasks)
    assert CHILD_KILLED.includes(joblib)


def test_a_claim_about_a_server_in_containers_needs_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without an engine the reason is known before the plan; other systems need none."""
    monkeypatch.setattr(criteria, "find_engine", no_engine)
    trials = CRITERIA["confirmed"].trials
    assert trials.lack("celery[prefork+rabbitmq]") == "No engine answers."
    assert trials.lack("celery") == ""


def no_engine() -> None:
    """Fail, as the search for an engine does on a machine without one."""
    raise ClusterError("No engine answers.")
