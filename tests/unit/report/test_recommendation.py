"""Tests the comparison of the backends for a function of the user."""

from __future__ import annotations

from lab.figures import FIGURES, Tables
from lab.report.page import render
from lab.report.recommendation import HEADINGS, choices
from tests.factories.campaigns import SMALL, campaign
from tests.factories.disturbed import with_disturbed


def of_function() -> Tables:
    """Return the tables of a campaign whose no-ops are a function of the user."""
    tables = campaign(SMALL)
    named = {
        name: tables[name].replace({"workload": {"noop": "shop:resize"}})
        for name in ("trial", "estimate")
    }
    return {**tables, **named}


def test_a_run_without_a_trial_that_counts_ranks_nothing() -> None:
    """Disturbed numbers were measured, and are shown in brackets."""
    tables = of_function()
    for label in tables["trial"]["label"].unique():
        tables = with_disturbed(tables, label)
    (choice,) = choices(tables)
    assert choice.answer == (
        "Measured, but disturbed, and therefore not ranked: 10 trials of thread-pool, rq."
    )
    # Who measures a function of their own looks for it first.
    page = render(tables, dict.fromkeys(FIGURES.values()))
    assert f'<p class="verdict">{choice.task}: {choice.answer}</p>' in page
    (row, *_) = (dict(zip(HEADINGS, texts, strict=True)) for texts in choice.rows)
    assert row["tasks/s"].startswith("(")
    assert row["CPU ms/task"] == "disturbed"


def test_a_run_that_counts_is_ranked() -> None:
    """The same campaign on a quiet machine."""
    (choice,) = choices(of_function())
    assert choice.answer.startswith("Most tasks per second: 1. ")


def test_a_single_system_that_counts_is_not_ranked() -> None:
    """The first sentence of the page says the same."""
    tables = of_function()
    (choice,) = choices(with_disturbed(tables, "rq[worker]@default"))
    assert choice.answer == "Only one system counts, so none is ranked: thread-pool."
