"""Tests the texts of faults in the terminal: a table of squares or systems, and a sentence."""

from __future__ import annotations

import pytest

from lab.report import fault_texts, number_format
from lab.report.fault_texts import as_table, sentence
from lab.report.faults import matrix
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import LOST, OK, TWICE, UNKNOWN, Fate, with_faults


def test_the_terminal_names_the_systems_that_lost_tasks() -> None:
    """One line; without harm it says so."""
    fates = {("rq", "child-kill"): LOST, ("rq", "none"): OK, ("inline", "child-kill"): OK}
    table = matrix(with_faults(campaign(SMALL), fates))
    assert table
    assert sentence(table) == (
        "Faults: 1 of 2 systems lost tasks or ran them twice: rq (0 of 4 survived)."
    )
    assert ["rq", "child-kill", "lost", "8 of 428", "0.81 % to 3.6 %", "0 of 4 survived"] in (
        as_table(table)[2]
    )
    fine = matrix(with_faults(campaign(SMALL), {("rq", "worker-kill"): OK}))
    assert fine
    assert sentence(fine) == "Faults: none of 1 system lost a task or ran one twice."


def test_the_terminal_lists_the_few_systems_without_harm() -> None:
    """A list of all others would be longer; an unknown outcome is not survived."""
    kinds = [("rq", LOST), ("inline", TWICE), ("thread-pool", OK)]
    fates = {(backend, "worker-kill"): fate for backend, fate in kinds}
    tables = with_faults(campaign(SMALL), fates)
    table = matrix(tables)
    assert table
    assert sentence(table) == (
        "Faults: 2 of 3 systems lost tasks or ran them twice. "
        "No hit harmed a task or a run of thread-pool (4 of 4 survived)."
    )
    inside = {("thread-pool", "worker-kill"): UNKNOWN}
    table = matrix(with_faults(tables, inside, provider="compose"))
    assert table
    assert "thread-pool" not in sentence(table)


def test_a_system_on_two_providers_is_counted_once() -> None:
    """Its hits are those of both, and harm on one provider is harm."""
    fates = {("rq", "child-kill"): OK, ("thread-pool", "child-kill"): OK}
    tables = with_faults(campaign(SMALL), fates)
    inside = {("rq", "child-kill"): LOST, ("thread-pool", "child-kill"): OK}
    table = matrix(with_faults(tables, inside, provider="compose"))
    assert table
    assert len(table.systems) == 4
    assert sentence(table) == (
        "Faults: 1 of 2 systems lost tasks or ran them twice: rq (4 of 8 survived)."
    )


def test_a_sentence_names_few_of_many_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign of both providers filled a screen with names; the squares have the others."""
    monkeypatch.setattr(number_format, "MOST_NAMES", 1)
    fates = {(backend, "child-kill"): LOST for backend in ("rq", "inline", "thread-pool")}
    table = matrix(with_faults(campaign(SMALL), fates))
    assert table
    start = "Faults: 3 of 3 systems lost tasks or ran them twice: inline (0 of 4 survived)"
    assert sentence(table) == f"{start}, and 2 more."


def test_of_many_squares_the_terminal_has_a_row_for_each_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It counts the faults by their worst outcome; the control is none of them."""
    monkeypatch.setattr(fault_texts, "MOST_SQUARES", 3)
    fates = {("rq", "none"): OK, ("rq", "child-kill"): LOST, ("rq", "worker-kill"): LOST}
    table = matrix(with_faults(campaign(SMALL), {**fates, ("thread-pool", "worker-kill"): OK}))
    title, headings, rows = as_table(table)
    assert title.endswith("the number of faults with each worst outcome")
    assert headings == ["label", "hits", "lost", "ok"]
    assert rows == [
        ["rq", "0 of 8 survived", "2", ""],
        ["thread-pool", "4 of 4 survived", "", "1"],
    ]


def test_tasks_that_were_refused_are_neither_lost_nor_ok() -> None:
    """The caller got an exception for them, as from a pool that broke; no hit is to blame."""
    refused = Fate("refused")
    table = matrix(with_faults(campaign(SMALL), {("rq", "child-kill"): refused}))
    assert table
    (square,) = table.systems[0].squares
    assert (square.text, square.count) == ("refused", "8 of 428")
    assert square.survived == "4 of 4 survived"
    assert not square.result.is_harm


def test_tasks_that_a_killed_submitter_did_not_send_are_not_refused() -> None:
    """Their outcome is the same, and no call for them was made."""
    tables = with_faults(campaign(SMALL), {("rq", "submitter-kill"): Fate("refused")})
    trials = tables["trial"]
    is_killed = trials["fault"] == "submitter-kill"
    trials.loc[is_killed, "n_sent"] -= 4  # in each of two trials
    table = matrix(tables)
    assert table
    (square,) = table.systems[0].squares
    assert (square.text, square.count) == ("ok", "0 of 420")
