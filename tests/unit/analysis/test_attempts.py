"""Tests which attempts at a trial count."""

from __future__ import annotations

import pandas as pd

from lab.analysis.attempts import USABLE, last_attempts
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


def test_a_trial_that_timed_out_is_usable() -> None:
    """Without it, a slow backend would look better than it is."""
    assert {*USABLE} == {Status.OK, Status.TIMEOUT}
