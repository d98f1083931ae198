"""Tests the first screen: one sentence, one chart of the systems, five columns."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from lab.analysis.contracts import UNKNOWN
from lab.analysis.labels import REFERENCE
from lab.analysis.queries import THROUGHPUT
from lab.core.outcomes import Contract
from lab.figures import Tables
from lab.report.first_screen import FirstScreen, first_screen, machine_state
from lab.report.page import render
from tests.factories.campaigns import SMALL, WIDE, campaign
from tests.factories.disturbed import with_disturbed
from tests.factories.faults import with_faults
from tests.factories.resources import everything


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign of all synthetic systems."""
    return campaign(WIDE)


@pytest.fixture(scope="module")
def screen(tables: Tables) -> FirstScreen:
    """Return its first screen."""
    return first_screen(tables)


def test_the_best_system_is_first(screen: FirstScreen) -> None:
    """By value: most tasks per second, and the shortest wait."""
    by_name = {strip.name: [d for d in strip.dots if not d.is_reference] for strip in screen.strips}
    rates = [float(dot.text.removesuffix("/s").replace(",", "")) for dot in by_name["throughput"]]
    assert rates == sorted(rates, reverse=True)
    assert [dot.x for dot in by_name["throughput"]] == sorted(
        (dot.x for dot in by_name["throughput"]), reverse=True
    )
    assert [dot.x for dot in by_name["wait"]] == sorted(dot.x for dot in by_name["wait"])


def test_every_dot_is_on_the_axis_inside_its_interval(screen: FirstScreen) -> None:
    """In percent; the outermost systems are at the margins."""
    for strip in screen.strips:
        systems = [dot for dot in strip.dots if not dot.is_reference]
        ends = [end for d in systems for end in (d.x, d.low, d.high) if end is not None]
        assert (min(ends), max(ends)) == (4.0, 96.0)
        assert all(d.low <= d.x <= d.high for d in strip.dots if d.low and d.high)


def test_a_dot_names_its_interval_and_its_trials(screen: FirstScreen, tables: Tables) -> None:
    """The tooltip has what a reader needs to repeat a number."""
    (dot,) = (dot for dot in screen.strips[0].dots if dot.name == "asyncio")
    value, interval, n, ids = dot.details
    trials = tables["trial"].set_index("trial_id")
    assert ids.startswith("trials ")
    assert {trials.loc[i, "backend"] for i in ids.split()[1:]} == {"asyncio"}
    assert value == dot.text
    assert n.startswith(f"n = {len(ids.split()) - 1} trials")
    assert interval.startswith("95 % interval ")


def test_a_disturbed_number_is_last_in_brackets_and_in_no_ranking() -> None:
    """A system without a trial that counts keeps its number; it is not ranked."""
    tables = campaign(SMALL)
    other = next(label for label in tables["trial"]["label"] if label.startswith("rq["))
    screen = first_screen(with_disturbed(tables, other))
    last = screen.strips[0].dots[-1]
    assert last.is_disturbed
    assert re.fullmatch(r"\(.+/s\)", last.text)
    ranking, _, disturbed = screen.verdict.partition("Disturbed, and therefore not ranked: ")
    assert last.name not in ranking
    assert last.name in disturbed
    assert "not ranked" in screen.machine


def test_an_interval_below_zero_begins_at_the_axis(tables: Tables) -> None:
    """An arithmetic interval may end below zero, where a logarithmic axis has no place."""
    rows = tables["estimate"]
    chosen = (rows["label"].str.startswith("asyncio[")) & (rows["metric"] == THROUGHPUT)
    lower = rows["ci_low"].where(~chosen, -1.0)
    strip = first_screen({**tables, "estimate": rows.assign(ci_low=lower)}).strips[0]
    (dot,) = (dot for dot in strip.dots if dot.name == "asyncio")
    assert dot.low == 4.0
    assert dot.x > 4.0


def test_the_table_groups_systems_by_their_contract(screen: FirstScreen, tables: Tables) -> None:
    """References are last: they are shown on demand, and never between the systems."""
    groups = {
        group.title: {row.name.partition("[")[0] for row in group.rows} for group in screen.groups
    }
    assert [*groups] == [Contract.POOL, Contract.AT_MOST_ONCE, REFERENCE]
    assert {"thread-pool", "asyncio"} <= groups[Contract.POOL]
    assert {"celery", "rq"} <= groups[Contract.AT_MOST_ONCE]
    assert "inline" in groups[REFERENCE]
    assert [group.is_reference for group in screen.groups] == [False, False, True]
    trials = tables["trial"]
    foreign = trials.replace({"rq[worker]@default": "of-a-package[worker]@default"})
    unknown = first_screen({**tables, "trial": foreign}).groups[-2]
    assert (unknown.title, len(unknown.rows)) == (UNKNOWN, 1)
    waits = ["wait p50 ms", "wait p99 ms"]
    assert screen.headings == ["tasks/s", *waits, "idle MB/worker", "lost"]


def test_the_heading_of_memory_names_the_workers_that_share_it() -> None:
    """Two workers share pages, so that each has less than one alone."""
    tables = everything(SMALL)
    trials = tables["trial"]
    for workers, heading in (
        (trials["workers"], "idle MB/worker, 1 worker"),
        (trials["workers"] + 1, "idle MB/worker, 2 workers"),
        (trials["label"].map(len), "idle MB/worker"),
    ):
        assert heading in first_screen({**tables, "trial": trials.assign(workers=workers)}).headings


def test_the_page_begins_with_the_result(tables: Tables, screen: FirstScreen) -> None:
    """The sentence, the chart and the table come before all facts of the campaign."""
    page = render(tables, {})
    places = [
        page.index(part) for part in ('class="verdict"', 'class="strip ', "<h2>Overview", "<h2>Cam")
    ]
    assert places == sorted(places)
    assert screen.verdict.split("(", maxsplit=1)[0] in page


@pytest.mark.parametrize(
    ("is_only", "sections"),
    [
        (True, ["result", "faults", "first", "hits"]),
        (False, ["result", "first", "faults", "hits"]),
    ],
)
def test_a_page_begins_with_what_was_measured(is_only: bool, sections: list[str]) -> None:
    """Of faults alone, the matrix is the answer; beside other numbers, a sentence leads to it."""
    tables = with_faults(campaign(SMALL))
    if is_only:
        names = ("trial", "estimate", "trend")
        tables |= {name: tables[name].query("fault != ''") for name in names}
    page = render(tables, {})
    assert re.findall(r'<section id="([\w-]+)"', page)[:4] == sections
    result = page[page.index('id="result"') : page.index("</section>")]
    assert re.search(r"Faults: 1 of \d systems lost tasks", result)
    assert re.search(r"\d+ of \d+ trials count", result)


def test_the_state_of_the_machine_is_not_busy_because_a_system_was_overloaded() -> None:
    """The two kinds of disturbed trials are counted apart."""
    trials = campaign(SMALL)["trial"].assign(flag="ok", flag_reasons="", cpu_taken=0.01)
    trials.loc[:2, "flag"] = "disturbed"
    trials.loc[:1, "flag_reasons"] = "generator_limited: achieved rate -8.0% off the plan"
    trials.loc[2, "flag_reasons"] = "other processes took CPU time: 40.0 % of the CPUs"
    text = machine_state(trials)
    assert "1 trial had a busy machine. In 2 trials, the machine was not busy, and" in text
    assert "busy" not in machine_state(trials.assign(flag="ok"))


def test_a_run_without_numbers_has_no_chart() -> None:
    """Nothing is drawn, and the state of the machine is one sentence."""
    tables = dict(campaign(SMALL))
    none = tables["estimate"]["metric"] == THROUGHPUT
    tables["estimate"] = tables["estimate"][none & False]
    tables["metric"] = tables["metric"].head(0)
    assert first_screen(tables).strips == []
    assert machine_state(pd.DataFrame({"status": [], "flag": []})) == ""


def test_trials_that_failed_are_among_those_that_do_not_count() -> None:
    """The verdict counts them too: two numbers of trials on one screen look like an error."""
    trials = campaign(replace(WIDE, blocks=1))["trial"]
    failed = trials.assign(status=["failed", *trials["status"][1:]])
    assert machine_state(failed).startswith(f"{len(trials) - 1} of {len(trials)} trials count.")


def test_a_page_without_intervals_says_what_they_lack() -> None:
    """`quick` has three blocks: no caption may explain a line that is not there (METHOD M2)."""
    page = render(campaign(replace(SMALL, blocks=3)), {})
    assert "95 % interval" not in page[: page.index('id="method"')]
    lack = "No interval: 3 of the 5 blocks that it needs."
    assert lack in page[: page.index('id="glance"')]
    assert lack in page[page.index('id="summary"') :]
    assert "The line is the 95 % interval" in render(campaign(SMALL), {})
