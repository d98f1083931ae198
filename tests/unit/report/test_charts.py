"""Tests the data of the interactive charts: every system, its interval, and its trials."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from lab.analysis.queries import trial_values
from lab.figures import Tables
from lab.report.charts import chart_data
from lab.report.first_screen import first_screen
from lab.report.lost_tasks import lost_tasks
from tests.factories.campaigns import WIDE, campaign
from tests.factories.disturbed import with_disturbed
from tests.factories.faults import with_faults


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign of all synthetic systems."""
    return campaign(WIDE)


def test_every_system_has_a_look_of_its_own(tables: Tables) -> None:
    """No two have the same colour and symbol, on a light and on a dark page."""
    systems = chart_data(tables, [])["systems"]
    assert set(systems) == set(tables["trial"]["label"])
    for mode in (0, 1):
        looks = {(one["colours"][mode], one["symbol"]) for one in systems.values()}
        assert len(looks) == len(systems)
    assert {name for name, one in systems.items() if one["isReference"]} == {
        "inline[call]@default",
        "null[accept]@default",
    }


def test_the_waits_have_a_point_for_each_rate(tables: Tables) -> None:
    """With its interval and the trials that a reader can repeat; all of it fits into JSON."""
    data = json.loads(json.dumps(chart_data(tables, first_screen(tables).strips)))
    waits = data["waits"]
    assert waits["percentile"] == "p99"
    assert {point["rate"] for point in waits["points"]} == {100.0}
    (point,) = (point for point in waits["points"] if point["label"].startswith("asyncio["))
    low, high = point["interval"]
    assert low < point["value"] < high
    ids = point["details"][-1].removeprefix("trials ").split()
    values = trial_values(tables, "queue_latency_s_p99")
    assert set(ids) == set(values.loc[values["label"] == point["label"], "trial_id"])


def test_a_disturbed_wait_says_that_its_backlog_grew(tables: Tables) -> None:
    """Otherwise, the wait of a queue that grows looks like one of a busy machine."""
    label = next(name for name in tables["trial"]["label"] if name.startswith("asyncio["))
    changed = with_disturbed(tables, label)
    rows = changed["estimate"]
    waits = rows[(rows["label"] == label) & (rows["metric"] == "queue_latency_s_p99")]
    growth = waits.assign(metric="overloaded", estimate=1.0)
    estimates = pd.concat([rows[rows["metric"] != "overloaded"], growth])
    changed = {**changed, "estimate": estimates}
    (point,) = (p for p in chart_data(changed, [])["waits"]["points"] if p["label"] == label)
    assert (point["isDisturbed"], point["isOverloaded"]) == (True, True)
    assert "the backlog grew in 100 % of the trials" in point["details"]


def test_the_chart_of_a_fault_has_the_share_of_lost_tasks(synthetic: Tables) -> None:
    """The shares are those of the trials of one fault, with their exact intervals."""
    strip = lost_tasks(with_faults(synthetic))
    assert strip is not None
    assert strip.place == "fault worker-kill"
    safe, lost = strip.dots
    assert (safe.name, safe.value, lost.name) == ("thread-pool", 0.0, "rq")
    assert lost.value == pytest.approx(4 / 214)
    assert lost.interval is not None
    assert lost.interval[0] < lost.value < lost.interval[1]
    assert lost_tasks(synthetic) is None
