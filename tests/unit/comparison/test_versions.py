"""Tests lines over versions, and the steps between neighbours, on campaigns with known costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pytest

from lab.comparison.compare import Change
from lab.comparison.versions import is_worse, newest, over_versions
from tests.factories.campaigns import SMALL, campaign
from tests.factories.versions import in_versions

# One cell of each system, in enough blocks for intervals.
PLAN = replace(SMALL, blocks=10, cores=(1,), workloads=("noop",), rates_hz=())
RELEASES = {"rq==2.9.0": 1.0, "rq==2.10.0": 1.0, "rq==3.0.0rc1": 1.3, "rq==3.0.0": 1.1}


def line(costs: Mapping[str, float], fewest: int = 3, noise: float = 0.01) -> pd.DataFrame:
    """Return the estimates of a line whose versions cost so many times as much as the first."""
    rows = over_versions(in_versions(campaign(PLAN), "rq", costs, noise), fewest)
    return rows[rows["kind"] == "estimate"]


def test_versions_are_in_their_order_and_a_step_is_found_where_the_cost_changes() -> None:
    """By numbers, a candidate before its release; equal neighbours are a tie, the others differ."""
    cells = line(dict(reversed(RELEASES.items())))
    assert list(cells["version"]) == ["rq 2.9.0", "rq 2.10.0", "rq 3.0.0rc1", "rq 3.0.0"]
    assert list(cells["x"]) == [0, 1, 2, 3]
    assert list(cells["before"][1:]) == list(cells["version"][:-1])
    changes = [Change.TIE, Change.WORSE, Change.BETTER]
    assert [None if pd.isna(each) else each for each in cells["change"]] == [None, *changes]
    assert list(cells["ratio"][1:]) == pytest.approx([1.0, 1.3, 1.1 / 1.3], rel=0.02)
    assert (cells["ratio_low"][1:] < cells["ratio"][1:]).all()
    assert (cells["ratio_high"][1:] > cells["ratio"][1:]).all()


def test_all_steps_are_one_family() -> None:
    """Each alone may err in one of twenty; of five, the smallest p counts five times (Holm)."""
    two = {"rq==2.0": 1.0, "rq==2.1": 1.1}
    (_, alone), (_, first, *others) = (
        line(costs, fewest=2, noise=0.07)["p"]
        for costs in (two, two | {f"rq==2.{minor}": 1.1 for minor in range(2, 6)})
    )
    assert 0.01 < alone < 0.05
    assert first == pytest.approx(5 * alone)
    assert all(first <= other for other in others)


def test_the_newest_version_decides() -> None:
    """An old step that was repaired is no reason, a small one neither."""
    assert is_worse(newest(line(RELEASES | {"rq==3.0.0": 1.5})), 5.0)
    assert not is_worse(newest(line(RELEASES)), 5.0)
    small = newest(line(dict.fromkeys(RELEASES, 1.0) | {"rq==3.0.0": 1.08}))
    assert is_worse(small, 5.0)
    assert not is_worse(small, 10.0)


def test_two_versions_are_compared_but_are_no_line() -> None:
    """The figure needs three; a caller that asks for two gets their step."""
    two = {"rq==2.9.0": 1.0, "rq==3.0.0": 1.2}
    assert line(two).empty
    assert list(line(two, fewest=2)["change"][1:]) == [Change.WORSE]
    assert line({"": 1.0}, fewest=2).empty


def test_pythons_are_versions_too() -> None:
    """Free-threaded builds follow the ordinary ones; with both options, each Python has a line."""
    cells = line({"3.14t": 1.0, "3.14": 1.0, "3.9": 1.0})
    assert list(cells["version"]) == ["Python 3.9", "Python 3.14", "Python 3.14t"]
    both = {f"{python} + {text}": 1.0 for python in ("3.11", "3.14") for text in RELEASES}
    names = line(both).groupby("name", sort=False)["version"].agg(list)
    assert list(names.index) == ["rq, Python 3.11", "rq, Python 3.14"]
    assert names.iloc[0] == names.iloc[1] == [f"rq {text[4:]}" for text in RELEASES]


def test_checkouts_and_several_packages_have_names() -> None:
    """A checkout is last, whatever its hash; environments of other packages are another line."""
    cells = line({"rq==2.9.0": 1.0, "rq @ 0a1b2c": 1.0, "rq==2.10.0": 1.0})
    assert list(cells["version"]) == ["rq 2.9.0", "rq 2.10.0", "rq checkout 0a1b2c"]
    texts = {f"rq==2.{minor} + redis==5.{minor}": 1.0 for minor in (8, 9, 10)}
    assert line(texts)["version"].iloc[-1] == "rq + redis 2.10 + 5.10"


def test_a_version_that_lost_its_largest_burst_is_not_compared_with_smaller_ones() -> None:
    """All versions of a line have the same number of tasks, or no point."""
    tables = dict(in_versions(campaign(PLAN), "rq", RELEASES))
    for name in ("trial", "estimate"):
        rows = tables[name]
        tables[name] = rows.assign(
            n_planned=rows["n_planned"].mask(rows["environment"] == "rq==2.10.0", 7)
        )
    rows = over_versions(tables)
    assert set(rows["version"]) == {"rq 2.9.0", "rq 3.0.0rc1", "rq 3.0.0"}
    first = rows[(rows["kind"] == "estimate") & (rows["version"] == "rq 3.0.0rc1")]
    assert list(first["before"]) == ["rq 2.9.0"]


@pytest.mark.parametrize("cost", [0.0, -1e-6, math.inf])
def test_a_cost_without_a_ratio_is_not_judged(cost: float) -> None:
    """Noise may make a small overhead negative; the other steps are judged all the same."""
    tables = dict(in_versions(campaign(PLAN), "rq", RELEASES))
    (trial_id, *_) = tables["trial"][tables["trial"]["environment"] == "rq==2.9.0"]["trial_id"]
    metrics = tables["metric"]
    is_its = metrics["trial_id"] == trial_id
    tables["metric"] = metrics.assign(value=metrics["value"].mask(is_its, cost))
    rows = over_versions(tables)
    cells = rows[rows["kind"] == "estimate"]
    assert list(cells["change"].isna()) == [True, True, False, False]
