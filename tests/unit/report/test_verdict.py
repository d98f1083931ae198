"""Tests the sentence that a run ends in."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from lab.analysis.environments import LabelledByEnvironment
from lab.analysis.queries import Tables
from lab.report.answers.queries import main_place
from lab.report.verdict import verdict
from tests.factories.campaigns import WIDE, campaign
from tests.factories.disturbed import with_disturbed
from tests.factories.environments import in_environments


def test_the_first_system_is_named_with_its_number_and_its_lead() -> None:
    """With an interval that excludes 1; references such as `null` and `inline` are not ranked."""
    sentence = verdict(campaign(WIDE))
    assert sentence.startswith("Of 10 systems, thread-pool waits least (noop at 100/s, 1 core, 1")
    assert "p99 88.7 us (83.8 us to 93.9 us), 1.49 times better than the next." in sentence


def test_a_single_system_is_not_ranked() -> None:
    """There is no other that it could be better than."""
    tables = campaign(WIDE)
    chosen = ("thread-pool", "inline", "null")
    single = {
        name: table[table["label"].str.startswith(chosen)] if "label" in table else table
        for name, table in tables.items()
    }
    assert verdict(single).startswith(
        "Only one system counts, so none is ranked (noop at 100/s, 1 core, 1 worker): p99 wait "
        "thread-pool "
    )


def test_with_few_blocks_close_systems_are_not_distinguishable() -> None:
    """Three blocks give no interval: only a ratio above three would be a difference."""
    sentence = verdict(campaign(replace(WIDE, blocks=3)))
    assert "thread-pool, asyncio and threading are not distinguishable by p99 wait (" in sentence


def test_of_many_systems_that_are_not_distinguishable_only_some_are_named() -> None:
    """They are counted, and the first six are named once, with their numbers."""
    tables = in_environments(campaign(replace(WIDE, blocks=3)), "3.11", "3.13", "3.14")
    sentence = verdict(LabelledByEnvironment(tables))
    assert sentence.startswith("Of 30 pairs of a system and an environment, 9 are not ")
    assert sentence.count("thread-pool") == 3
    assert sentence.endswith("; and 3 more.")


def test_environments_of_one_system_are_not_counted_as_systems() -> None:
    """Such as the last releases of celery, which `lab versions` measures."""
    tables = in_environments(campaign(replace(WIDE, blocks=3)), "3.11", "3.13", "3.14")
    one = {
        name: table[table["label"].str.startswith("celery[p")] if "label" in table else table
        for name, table in tables.items()
    }
    assert verdict(LabelledByEnvironment(one)).startswith("Of 3 environments, ")


def test_without_latencies_the_throughput_is_ranked() -> None:
    """A campaign of bursts has no wait."""
    sentence = verdict(campaign(replace(WIDE, rates_hz=())))
    assert "thread-pool runs most tasks per second (noop, 1 core, 1 worker): 92,400" in sentence


@pytest.mark.parametrize("flag", ["disturbed", "invalid"])
def test_trials_that_do_not_count_rank_no_system(flag: str) -> None:
    """Their numbers may be shown, but no sentence uses them."""
    tables: Tables = campaign(replace(WIDE, blocks=1))
    trials = tables["trial"].assign(flag=flag)
    metrics = tables["metric"].assign(is_valid=0)
    estimates = tables["estimate"].assign(estimate=float("nan"))
    none = {**tables, "trial": trials, "metric": metrics, "estimate": estimates}
    assert verdict(none) == f"None of {len(trials)} trials counts, so no system is ranked."


@pytest.mark.parametrize(
    ("counted", "beginning"),
    [
        (("thread-pool", "rq"), "Of 3 systems, thread-pool waits least ("),
        (("thread-pool",), "Only one system counts, so none is ranked (noop at 100/s, 1 core, 1 "),
    ],
)
def test_systems_that_were_disturbed_are_named(counted: tuple[str, ...], beginning: str) -> None:
    """A system is not the best of those that another program disturbed."""
    tables = campaign(WIDE)
    for label in set(tables["trial"]["label"]):
        if label.partition("[")[0] not in counted:
            tables = with_disturbed(tables, label)
    sentence = verdict(tables)
    assert sentence.startswith(beginning)
    assert "Disturbed, and therefore not ranked: asyncio, celery[prefork], " in sentence
    assert "inline" not in sentence


def test_a_run_in_which_only_references_count_says_so() -> None:
    """Without a sentence, a reader would not know why no system is named."""
    tables = campaign(WIDE)
    trials = tables["trial"]
    systems = trials[trials["family"] != "reference"]
    for label in set(systems["label"]):
        tables = with_disturbed(tables, label)
    assert verdict(tables) == (
        f"Only references count: none of {len(systems)} trials of systems does."
    )


def test_systems_that_keep_tasks_are_compared_with_each_other() -> None:
    """A system that loses tasks when a worker dies is no alternative to one that keeps them."""
    tables = campaign(replace(WIDE, blocks=6))
    tables = {name: table.copy() for name, table in tables.items()}
    safe = ("celery[prefork]", "rq[worker]")
    names = {f"{name}@default": f"{name}@safe" for name in safe}
    for table in tables.values():
        if "label" in table:
            table["label"] = table["label"].replace(names)
    sentence = verdict(tables)
    assert "systems that keep tasks over a worker's death" in sentence
    assert "thread-pool" not in sentence


@pytest.mark.parametrize(("arrival", "place"), [("paced", "wide"), ("burst", "narrow")])
def test_waits_are_those_of_the_largest_topology(arrival: str, place: str) -> None:
    """A smaller one may be full at the rate, and then its waits are those of a backlog.

    The place of a higher rate is no larger topology, and one with fewer systems is not chosen.
    """
    places = [("narrow", 20.0), ("wide", 20.0), ("faster", 50.0)]
    rows = [(name, label, rate) for name, rate in places for label in ("celery", "rq")]
    table = pd.DataFrame([*rows, ("widest", "rq", 20.0)], columns=["place", "label", "rate_hz"])
    assert main_place(table.assign(workload="io", size=50_000, arrival=arrival)) == place


def test_a_lead_names_its_blocks_if_others_are_not_in_it() -> None:
    """The mean of a system may be far from its number in the blocks that the next one has."""
    tables: Tables = campaign(replace(WIDE, rates_hz=(), blocks=3))
    assert "that both have" not in verdict(tables)
    trials = tables["trial"]
    lost = trials[trials["label"].str.startswith("thread-pool") & (trials["block"] > 0)]
    metrics = tables["metric"]
    chosen_metrics = metrics[~metrics["trial_id"].isin(lost["trial_id"])]
    others = {"trial", "estimate", "campaign"}
    chosen = {name: tables[name] for name in others} | {"metric": chosen_metrics}
    for name in ("trial", "estimate", "metric"):
        if "label" in chosen[name]:
            is_far = chosen[name]["label"].str.startswith(("thread-pool", "celery[p", "rq[w"))
            chosen[name] = chosen[name][is_far]
    assert verdict(chosen).endswith(" times better than the next in the 1 block that both have.")
