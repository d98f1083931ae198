"""Tests the summary: estimates with bounds, reasons for missing numbers, and no invented 0."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.analysis.labels import REFERENCE, identify
from lab.analysis.metrics.registry import METRICS
from lab.analysis.statistics import proportion
from lab.figures import Tables
from lab.report.first_screen import machine_state
from lab.report.number_format import digits, percent
from lab.report.run_tables import RunTables
from lab.report.summary import COLUMNS, ROLES, SummaryRow, summary
from lab.report.terminal import terminal_tables
from tests.factories.campaigns import LOST_EVERY, SYSTEMS, Campaign, campaign, write

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"})
SMALL = Campaign(systems=FEW, cores=(1,))


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign of three backends with noise and losses."""
    return campaign(SMALL)


def row(tables: Tables, name: str, workload: str = "noop") -> SummaryRow:
    """Return the summary's row of a label."""
    return next(r for r in summary(tables) if (r.name, r.workload) == (name, workload))


def test_a_missing_number_is_not_zero() -> None:
    """Without paced trials the latencies are `not measured`."""
    tables = campaign(replace(SMALL, systems=FEW[1:2], rates_hz=()))
    (noop,) = (r for r in summary(tables) if r.workload == "noop")
    assert {noop.numbers[name].text for name in ("p50", "p90", "p99", "round_trip")} == {
        "not measured"
    }


def test_unread_cpu_time_is_not_measured(tables: Tables) -> None:
    """An unknown CPU time is `not measured`; a label without servers has `none`."""
    removed = tables["estimate"]["metric"] == "cpu_workers_s_per_task"
    assert row({**tables, "estimate": tables["estimate"][~removed]}, "rq").cpu.text.endswith(
        "/ not measured"
    )
    assert row(tables, "inline").cpu.text.split(" / ")[1] == "none"


def test_every_column_is_a_registered_metric() -> None:
    """Each column has an arrival for which the metric is computed."""
    assert {c.metric for c in COLUMNS} | {f"cpu_{r}_s_per_task" for r in ROLES} <= set(METRICS)
    columns = [(METRICS[c.metric], c.arrival) for c in COLUMNS]
    assert all(arrival in metric.arrivals for metric, arrival in columns)


def test_a_number_is_the_estimate(tables: Tables) -> None:
    """The summary shows estimate and interval of the table, in the unit of the heading."""
    table = tables["estimate"]
    cell = table[(table["label"] == "rq[worker]@default") & (table["workload"] == "noop")]
    cell = cell[cell["analysis_id"] == "synthetic"].set_index("metric")
    number = row(tables, "rq").numbers["overhead"]
    names = ["estimate", "ci_low", "ci_high"]
    value, low, high = cell.loc["overhead_s_per_task", names].to_numpy("float64") * 1e6
    assert number.text == digits(value)
    assert number.interval == f"{digits(low)} to {digits(high)}"
    assert f"of {SMALL.blocks} trials" in number.note


def test_a_lower_bound_is_marked(tables: Tables) -> None:
    """A percentile that falls among unfinished tasks has a `>` (METHOD M6)."""
    assert row(tables, "rq").numbers["p99"].text.startswith(">")


def test_losses_have_their_upper_bound(tables: Tables) -> None:
    """Lost tasks are counted over all sent tasks, with a bound even for zero (METHOD M28)."""
    trials = tables["trial"]
    cell = trials[(trials["backend"] == "rq") & (trials["workload"] == "noop")]
    n, k = int(cell["n_sent"].sum()), SMALL.blocks * (SMALL.paced_tasks // LOST_EVERY)
    lost = row(tables, "rq").lost
    assert lost.text == f"{k} of {n:,}"
    assert lost.interval == f"≤ {percent(proportion(k, n).high or 0)}"
    none = row(tables, "inline").lost
    assert none.text == f"0 of {n:,}"
    assert none.interval == f"≤ {percent(3.69 / n)}"


def test_a_cell_without_a_usable_trial_shows_the_flag(tables: Tables) -> None:
    """If all trials are invalid, the cell has `invalid` instead of a number."""
    trials = tables["trial"].assign(flag="invalid")
    number = row({**tables, "trial": trials}, "rq").numbers["throughput"]
    assert (number.text, number.value) == ("invalid", None)


def test_losses_of_failed_trials_count(tables: Tables) -> None:
    """The status of a trial does not change how its lost tasks are counted."""
    trials = tables["trial"].assign(status="failed", flag="invalid")
    assert row({**tables, "trial": trials}, "rq").lost == row(tables, "rq").lost


def test_an_interrupted_trial_has_no_losses(tables: Tables) -> None:
    """The outcome of its unfinished tasks is unknown (METHOD M28)."""
    trials = tables["trial"].assign(status="interrupted")
    assert row({**tables, "trial": trials}, "rq").lost.text == "interrupted"


def test_the_terminal_shows_the_same_numbers(tables: Tables, tmp_path: Path) -> None:
    """Terminal and page use the same rows."""
    ((title, headings, rows),) = terminal_tables(RunTables(write(tables, tmp_path / "run")))
    assert title == "Summary of run, latencies at 100 tasks/s"
    table = pd.DataFrame(rows, columns=list(headings))
    in_terminal = table[(table["label"] == "rq") & (table["workload"] == "noop")].iloc[0]
    on_page = row(tables, "rq")
    assert in_terminal["tasks/s"] == on_page.numbers["throughput"].text
    assert in_terminal["p50 ms"] == on_page.numbers["p50"].text
    assert in_terminal["lost"] == on_page.lost.text
    of_place = table[(table["workload"] == "noop") & (table["cores x nodes"] == "1 x 1")]
    families = identify(tables["trial"]).set_index("name")["family"].to_dict()
    is_reference = [families[name] == REFERENCE for name in of_place["label"]]
    assert is_reference == sorted(is_reference)
    assert True in is_reference


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
    """A number of any size has three significant digits."""
    assert digits(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.00095, "0.095 %"), (0.121, "12 %"), (1.0, "100 %")]
)
def test_shares_are_percent(share: float, text: str) -> None:
    """A share has two significant digits."""
    assert percent(share) == text


def test_the_spread_of_the_machine_is_beside_the_intervals(tables: Tables) -> None:
    """It is the coefficient of variation of the fixed loop over the trials of the row."""
    trials = tables["trial"]
    times = [10_000_000 + 1_000_000 * (number % 2) for number in range(len(trials))]
    drifting = {**tables, "trial": trials.assign(calibration_ns=times)}
    assert re.fullmatch(r"±[45](\.\d)? %", row(drifting, "rq").speed_spread)
    unknown = {**tables, "trial": trials.assign(calibration_ns=float("nan"))}
    assert row(unknown, "rq").speed_spread == ""
    assert "varied by ±" in machine_state(drifting["trial"])
