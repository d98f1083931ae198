"""Tests which attempts at a trial count."""

from __future__ import annotations

import pandas as pd

from lab.analysis.attempts import (
    USABLE,
    decisive_attempts,
    last_attempts,
    replaced_attempts,
)
from lab.core.model import Status


def test_only_the_last_attempt_counts() -> None:
    """Its place in the table does not matter: a rerun may be written before other trials."""
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b", "a", "c", "a"],
            "attempt": [2, 1, 3, 1, 1],
            "status": ["failed", "ok", "timeout", "failed", "ok"],
        }
    )
    last = last_attempts(trials).set_index("trial_id")
    assert last["attempt"].to_dict() == {"a": 3, "b": 1, "c": 1}
    assert [trial for trial in "abc" if last.loc[trial, "status"] in USABLE] == ["a", "b"]


def test_the_last_usable_attempt_decides_what_became_of_the_tasks() -> None:
    """A failed one decides only where none is usable; one without a result decides nothing."""
    rows = [
        ("repeated", 1, "failed", 9),
        ("repeated", 2, "ok", 9),
        ("disturbed", 1, "ok", 9),
        ("disturbed", 2, "timeout", 9),
        ("joined", 1, "ok", 9),
        ("joined", 2, "failed", 9),
        ("broken", 1, "failed", 9),
        ("broken", 2, "failed", 0),
        ("resumed", 1, "failed", 9),
        ("resumed", 2, "interrupted", 9),
        ("never", 1, "interrupted", 9),
        ("never", 2, "skipped", 0),
    ]
    trials = pd.DataFrame(rows, columns=["trial_id", "attempt", "status", "n_sent"])
    chosen = decisive_attempts(trials)
    assert list(chosen.columns) == list(trials.columns)
    assert dict(zip(chosen["trial_id"], chosen["attempt"], strict=True)) == {
        "repeated": 2,
        "disturbed": 2,
        "joined": 1,
        "broken": 1,
        "resumed": 1,
    }
    rest = replaced_attempts(trials)
    assert list(zip(rest["trial_id"], rest["attempt"], strict=True)) == [
        ("repeated", 1),
        ("disturbed", 1),
        ("joined", 2),
    ]


def test_a_trial_that_timed_out_is_usable() -> None:
    """Without it, a slow backend would look better than it is."""
    assert {*USABLE} == {Status.OK, Status.TIMEOUT}
