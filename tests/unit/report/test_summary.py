"""The summary shows the estimates as they are: with bounds, with reasons, and never a made-up 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab import report
from lab.analysis.metrics.registry import METRICS
from lab.analysis.reference_ratio import SHARE
from lab.analysis.statistics import proportion
from lab.figures import Tables
from lab.report.number_format import digits, percent
from lab.report.summary import COLUMNS, ROLES, Row, summary
from tests.factories.campaigns import LOST_EVERY, SYSTEMS, Campaign, campaign, write

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "pool", "simple-worker"})
SMALL = Campaign(systems=FEW, cores=(1,))


@pytest.fixture(scope="module")
def tables() -> Tables:
    """A campaign of three systems with noise and losses."""
    return campaign(SMALL)


def row(tables: Tables, name: str, workload: str = "noop") -> Row:
    """Return the summary's row of a label."""
    return next(r for r in summary(tables) if (r.name, r.workload) == (name, workload))


def test_what_was_not_measured_is_never_zero() -> None:
    """One backend and no paced trial: latencies are not measured."""
    tables = campaign(replace(SMALL, systems=FEW[1:2], rates_hz=()))
    (noop,) = (r for r in summary(tables) if r.workload == "noop")
    assert {noop.numbers[name].text for name in ("p50", "p90", "p99", "round_trip")} == {
        "not measured"
    }


def test_unread_cpu_time_is_not_measured(tables: Tables) -> None:
    """A role whose CPU time is unknown is no role that used none."""
    gone = tables["estimate"]["metric"] == "cpu_workers_s_per_task"
    assert row({**tables, "estimate": tables["estimate"][~gone]}, "rq").cpu.text.endswith(
        "/ not measured"
    )
    assert row(tables, "inline").cpu.text.split(" / ")[1] == "none"


def test_every_column_is_a_metric_of_the_lab() -> None:
    """The summary asks for no number that the lab does not compute."""
    known = {*METRICS, SHARE}
    assert {c.metric for c in COLUMNS} | {f"cpu_{r}_s_per_task" for r in ROLES} <= known
    asked = [(METRICS[c.metric], c.arrival) for c in COLUMNS if c.metric != SHARE]
    assert all(arrival in metric.arrivals for metric, arrival in asked)


def test_a_number_is_the_estimate(tables: Tables) -> None:
    """The summary shows the table's estimate and interval, in the unit of its heading."""
    table = tables["estimate"]
    own = table[(table["label"] == "rq[simple-worker]@default") & (table["workload"] == "noop")]
    own = own[own["analysis_id"] == "synthetic"].set_index("metric")
    told = row(tables, "rq").numbers["overhead"]
    names = ["estimate", "ci_low", "ci_high"]
    value, low, high = own.loc["overhead_s_per_task", names].to_numpy("float64") * 1e6
    assert told.text == digits(value)
    assert told.interval == f"{digits(low)} to {digits(high)}"
    assert f"of {SMALL.blocks} trials" in told.note


def test_a_lower_bound_is_marked(tables: Tables) -> None:
    """A percentile among unfinished tasks is shown as more than a value (METHOD M6)."""
    assert row(tables, "rq").numbers["p99"].text.startswith(">")


def test_losses_have_their_upper_bound(tables: Tables) -> None:
    """Lost tasks are counted over all that were sent, none lost is no promise (METHOD M28)."""
    trials = tables["trial"]
    own = trials[(trials["backend"] == "rq") & (trials["workload"] == "noop")]
    n, k = int(own["n_sent"].sum()), SMALL.blocks * (SMALL.paced_tasks // LOST_EVERY)
    told = row(tables, "rq").lost
    assert told.text == f"{k} of {n:,}"
    assert told.interval == f"≤ {percent(proportion(k, n).high or 0)}"
    none = row(tables, "inline").lost
    assert none.text == f"0 of {n:,}"
    assert none.interval == f"≤ {percent(3.69 / n)}"


def test_a_cell_without_a_usable_trial_says_what_became_of_it(tables: Tables) -> None:
    """All trials invalid: no number, and the word for why there is none."""
    trials = tables["trial"].assign(flag="invalid")
    told = row({**tables, "trial": trials}, "rq").numbers["throughput"]
    assert (told.text, told.value) == ("invalid", None)


def test_losses_of_failed_trials_count(tables: Tables) -> None:
    """A trial that failed after it had lost tasks has lost them all the same."""
    trials = tables["trial"].assign(status="failed", flag="invalid")
    assert row({**tables, "trial": trials}, "rq").lost == row(tables, "rq").lost


def test_an_interrupted_trial_has_lost_nothing(tables: Tables) -> None:
    """What it had not finished is unknown (METHOD M28)."""
    trials = tables["trial"].assign(status="interrupted")
    assert row({**tables, "trial": trials}, "rq").lost.text == "interrupted"


def test_the_terminal_shows_the_same_numbers(tables: Tables, tmp_path: Path) -> None:
    """Terminal and page have one source."""
    ((title, headings, rows),) = report.terminal_tables(write(tables, tmp_path / "run"))
    assert title == "Summary of run, latencies at 100 tasks/s"
    table = pd.DataFrame(rows, columns=list(headings))
    own = table[(table["label"] == "rq") & (table["workload"] == "noop")].iloc[0]
    told = row(tables, "rq")
    assert own["tasks/s"] == told.numbers["throughput"].text
    assert own["p50 ms"] == told.numbers["p50"].text
    assert own["lost"] == told.lost.text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2_566_789.0, "2.57 M"),
        (94_812.3, "94,800"),
        (81.34, "81.3"),
        (9.999, "10.0"),
        (0.00234, "0.00234"),
        (-0.6061, "-0.606"),
        (0.0, "0"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    """A number has three significant digits, however large it is."""
    assert digits(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.00095, "0.095 %"), (0.121, "12 %"), (1.0, "100 %")]
)
def test_shares_are_percent(share: float, text: str) -> None:
    """A share has two significant digits."""
    assert percent(share) == text
