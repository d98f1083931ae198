"""Tests the matrix of systems and faults: every square has its word, its count and its hits."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import pandas as pd
import pytest

from lab.core.faults import FaultKind
from lab.core.outcomes import HARM
from lab.figures import FIGURES, Tables
from lab.report.documented import documented_safe
from lab.report.fault_results import RESULTS
from lab.report.fault_squares import Square
from lab.report.fault_texts import sentence
from lab.report.faults import matrix
from lab.report.lost_tasks import lost_tasks
from lab.report.page import render
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import (
    BROKEN,
    LOST,
    MISSED,
    OK,
    RECOVERED,
    REPORTED,
    SKIPPED,
    STUCK,
    TWICE,
    UNKNOWN,
    Fate,
    with_faults,
)

FATES = {
    "none": OK,
    "child-kill": LOST,
    "worker-kill": STUCK,
    "worker-term": REPORTED,
    "worker-pause": TWICE,
    "network-cut": UNKNOWN,
    "network-cut:60s": RECOVERED,
    "idle-worker-kill": OK,
    "broker-pause": MISSED,
    "broker-kill": SKIPPED,
    "broker-kill:aof-always": BROKEN,
}


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign in which each fault has another result for rq."""
    fates = {("rq", fault): fate for fault, fate in FATES.items()}
    others = {("thread-pool", "child-kill"): OK, ("inline", "broker-kill"): OK}
    return with_faults(campaign(SMALL), {**fates, **others})


@pytest.fixture(scope="module")
def squares(tables: Tables) -> Mapping[str, Square]:
    """Return the squares of rq by fault."""
    table = matrix(tables)
    assert table
    (system,) = (system for system in table.systems if system.name == "rq")
    return {square.fault: square for square in system.squares}


def test_the_control_has_no_rows_of_hits() -> None:
    """They would say nothing, five for each system: no task belongs to a hit of the control."""
    fates = {("rq", "none"): OK, ("rq", "child-kill"): OK}
    page = render(with_faults(campaign(SMALL), fates), dict.fromkeys(FIGURES.values()))
    assert "exit code -9" in page
    assert "control: nothing was done" not in page


@pytest.mark.parametrize(
    ("fault", "name", "text"),
    [
        ("none", "ok", "ok"),
        ("child-kill", "lost", "lost"),
        ("worker-kill", "stuck", "stuck"),
        ("worker-term", "reported", "lost, reported"),
        ("worker-pause", "twice", "twice"),
        ("network-cut", "unknown", "unknown"),
        ("network-cut:60s", "recovered", "recovered after 61.0 s"),
        ("idle-worker-kill", "ok", "ok"),
        ("broker-pause", "missed", "not hit"),
        ("broker-kill", "skipped", "skipped"),
        ("broker-kill:aof-always", "failed", "failed"),
    ],
)
def test_a_square_has_the_word_of_its_result(
    squares: Mapping[str, Square], fault: str, name: str, text: str
) -> None:
    """It has a class for the colour, and a word."""
    assert (squares[fault].result.name, squares[fault].text) == (name, text)


def test_a_square_counts_its_tasks_with_a_bound(squares: Mapping[str, Square]) -> None:
    """Two blocks with two hits of two tasks each: 8 of 428 tasks are lost."""
    assert (squares["child-kill"].count, squares["none"].count) == ("8 of 428", "0 of 428")
    assert squares["child-kill"].bound == "0.81 % to 3.6 %"
    assert squares["none"].bound == "at most 0.86 %"  # 1 - 0.025 ** (1 / 428)


@pytest.mark.parametrize(
    ("fault", "survived"),
    [("child-kill", "0 of 4"), ("idle-worker-kill", "4 of 4"), ("network-cut:60s", "4 of 4")],
)
def test_a_fault_is_survived_if_no_task_was_harmed(
    squares: Mapping[str, Square], fault: str, survived: str
) -> None:
    """A task that was executed again and finished once was not harmed."""
    assert squares[fault].survived == f"{survived} survived"


def test_an_unknown_outcome_and_a_miss_are_not_counted_as_survived(
    squares: Mapping[str, Square],
) -> None:
    """They are not counted at all: nothing is known about them."""
    for fault in ("network-cut", "broker-pause", "none"):
        assert squares[fault].survived == ""


def test_a_hit_names_the_tasks_that_it_harmed(
    tables: Tables, squares: Mapping[str, Square]
) -> None:
    """Instant, target, activity and proof are those of its row; ids are those of the outcomes."""
    hit = squares["child-kill"].hits[0]
    rows = tables["fault"].query("fault == 'child-kill'")
    assert hit.tasks == {"lost": rows["task_ids"].iloc[0]}
    assert (hit.at, hit.until) == ("6.67 s", "restarted after 1.20 s")
    assert (hit.proof, hit.target) == ("exit code -9", "worker: worker-0 pid 4200")
    assert hit.activity == f"executing tasks {rows['task_ids'].iloc[0]}"
    again = squares["network-cut:60s"].hits[0]
    assert again.taken_over == "again after 61.0 s to 61.0 s by node 0, pid 4321"


def test_harm_that_no_hit_explains_counts_against_every_hit(tables: Tables) -> None:
    """The tasks of a lost queue were interrupted by no hit, and no hit was survived."""
    unassigned = {
        name: rows.assign(hit=pd.array([pd.NA] * len(rows), "Int64"))
        for name, rows in tables.items()
        if name.startswith("outcome/")
    }
    table = matrix({**tables, **unassigned})
    assert table
    (system,) = (system for system in table.systems if system.name == "rq")
    (lost,) = (square for square in system.squares if square.fault == "child-kill")
    assert lost.survived == "0 of 4 survived"


def test_a_square_without_a_result_has_the_reason(squares: Mapping[str, Square]) -> None:
    """A miss, a skip and a failure are not empty squares."""
    assert squares["broker-pause"].reason == "No worker was executing a task within 2 s."
    assert "has no target" in squares["broker-kill"].reason
    assert "did not answer" in squares["broker-kill:aof-always"].reason


def test_each_provider_has_its_own_rows() -> None:
    """A result in processes and one in containers are not one result; nor are their hits."""
    fates = {("rq", "worker-kill"): LOST, ("thread-pool", "worker-kill"): SKIPPED}
    local = with_faults(campaign(SMALL), fates)
    fates = {("rq", "worker-kill"): OK, ("thread-pool", "worker-kill"): OK}
    both = with_faults(local, fates, provider="compose")
    table = matrix(both)
    assert table
    squares = {system.name: system.squares[0] for system in table.systems}
    # On the provider where all its trials were skipped, a system is only in the list of skips.
    assert {name: (s.text, s.count, s.survived) for name, s in squares.items()} == {
        "rq on compose": ("ok", "0 of 428", "4 of 4 survived"),
        "rq on local": ("lost", "8 of 428", "0 of 4 survived"),
        "thread-pool on compose": ("ok", "0 of 428", "4 of 4 survived"),
    }
    assert len({square.anchor for square in squares.values()}) == 3
    assert [names for _, names in table.skips] == [["thread-pool on local under worker-kill"]]
    assert sentence(table) == (
        "Faults: 1 of 2 systems lost tasks or ran them twice: rq (4 of 8 survived)."
    )
    strip = lost_tasks(both)
    assert strip
    assert strip.place == "fault worker-kill on compose"
    assert [dot.text for dot in strip.dots] == ["0 %", "0 %"]


def test_skips_of_one_reason_are_one_entry() -> None:
    """A reason names its system first; without the name, those of all systems are equal."""
    lacks = ("rq[worker]", "thread-pool[executor]")
    fates = {
        (label.partition("[")[0], "broker-kill"): Fate(skip=f"{label} has no server.")
        for label in lacks
    }
    table = matrix(with_faults(campaign(SMALL), {**fates, ("rq", "none"): OK}))
    assert table
    names = ["rq under broker-kill", "thread-pool under broker-kill"]
    assert table.skips == [("The system has no server.", names)]
    # Nothing was tried with that fault, and nothing on the thread pool.
    assert (table.faults, [system.name for system in table.systems]) == (["none"], ["rq"])


def test_faults_are_in_the_order_of_their_kinds(tables: Tables) -> None:
    """The control is the first, and the variants of a kind are neighbours."""
    table = matrix(tables)
    assert table
    assert table.faults[0] == "none"
    kinds = [fault.partition(":")[0] for fault in table.faults]
    assert [kind for kind, _ in itertools.groupby(kinds)] == list(dict.fromkeys(kinds))


def test_a_fault_that_a_label_was_not_tried_with_is_not_measured(tables: Tables) -> None:
    """The thread pool was tried with one fault only."""
    table = matrix(tables)
    assert table
    (system,) = (system for system in table.systems if system.name == "thread-pool")
    words = {square.fault: square.text for square in system.squares}
    assert words.pop("child-kill") == "ok"
    assert set(words.values()) == {"not measured"}


def test_a_loss_against_the_documentation_is_named(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A safe profile promises that no task is lost, and not that none is run twice."""
    promised = (FaultKind.CHILD_KILL, FaultKind.WORKER_PAUSE, FaultKind.IDLE_WORKER_KILL)
    for module in ("faults", "fault_squares"):
        monkeypatch.setattr(f"lab.report.{module}.documented_safe", lambda _: promised)
    table = matrix(tables)
    assert table
    (system,) = (system for system in table.systems if system.name == "rq")
    named = [s.fault for s in system.squares if "documented to be safe" in s.notes]
    assert named == ["child-kill"]
    page = render(tables, dict.fromkeys(FIGURES.values()))
    assert "Documented to be safe against" in page


@pytest.mark.parametrize(
    ("label", "kinds"),
    [
        ("rq@default", set()),
        ("rq@safe", {FaultKind.CHILD_KILL, FaultKind.WORKER_KILL}),
        ("celery[prefork+rabbitmq]@safe", {FaultKind.BROKER_KILL, FaultKind.WORKER_KILL}),
        ("not-installed", set()),
    ],
)
def test_documented_faults_are_those_of_the_profile(label: str, kinds: set[FaultKind]) -> None:
    """The profile of the variant counts; a system that is not installed promises nothing."""
    assert kinds <= set(documented_safe(label))
    assert bool(documented_safe(label)) == bool(kinds)


def test_a_run_without_faults_has_no_matrix() -> None:
    """The page then has no section for it."""
    tables = with_faults(campaign(SMALL), {("rq", "none"): OK})
    plain = {**tables, "trial": tables["trial"].assign(fault="")}
    assert matrix(plain) is None
    assert 'id="faults"' not in render(plain, dict.fromkeys(FIGURES.values()))


def test_the_squares_of_the_page_lead_to_their_hits(tables: Tables) -> None:
    """Every square with trials does, and each trial has a command to repeat it."""
    page = render(tables, dict.fromkeys(FIGURES.values()))
    anchors = set(re.findall(r'class="square[^"]*" href="#([^"]+)"', page))
    assert len(anchors) == len(FATES) - 1 + 2  # rq without its skip, and two other systems
    assert anchors <= set(re.findall(r'<div id="([^"]+)"', page))
    trials = tables["trial"].query("fault != '' and status != 'skipped'")["trial_id"]
    assert [t for t in trials if f"lab reproduce synthetic/{t}</code>" not in page] == []


def test_results_are_ordered_by_their_harm() -> None:
    """The harmful ones are the first, so that a square never hides a loss behind a recovery."""
    harmful = ["lost", "stuck", "reported", "twice", "failed-though-done", "raised"]
    assert [result.name for result in RESULTS if result.is_harm] == harmful
    assert [result.name for result in RESULTS] == [*harmful, "unknown", "recovered"]
    assert [result.outcome for result in RESULTS if result.is_harm] == [*HARM]
