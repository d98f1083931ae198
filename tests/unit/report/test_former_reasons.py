"""Tests that reasons of earlier versions are shown in the words of this version."""

from __future__ import annotations

from lab.analysis.capacity import HIGHEST_RATE_HZ
from lab.report.former_reasons import present
from lab.report.sections import unusable_attempts
from tests.factories.campaigns import SMALL, campaign

FORMER = "24000 tasks/s is more than the 20000 that anybody is asked for."
PRESENT = f"24000 tasks/s is more than the highest rate of any trial, {HIGHEST_RATE_HZ:g}."


def test_a_former_reason_has_the_present_words() -> None:
    """They are those of the rule, which still exists; other reasons are unchanged."""
    assert present(FORMER) == PRESENT
    assert present("inline[call] has one worker slot.") == "inline[call] has one worker slot."


def test_the_page_lists_a_former_reason_in_present_words() -> None:
    """The table keeps what was recorded."""
    tables = campaign(SMALL)
    trials = tables["trial"].copy()
    trials.loc[trials.index[:2], ["status", "reason"]] = ["skipped", FORMER]
    listed = unusable_attempts({**tables, "trial": trials})
    assert {attempts.reason for attempts in listed if attempts.what == "skipped"} == {PRESENT}
    assert FORMER in set(trials["reason"])
