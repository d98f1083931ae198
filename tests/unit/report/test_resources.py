"""Tests the table and the figure of worker costs, on the page and in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.analysis.metrics.registry import METRICS
from lab.figures import FIGURES, Tables
from lab.report.answers import answers
from lab.report.page import render
from lab.report.resources import COLUMNS, POOLED, resource_rows
from lab.report.run_tables import RunTables
from lab.report.terminal import terminal_tables
from tests.factories.campaigns import SYSTEMS, Campaign, campaign, write
from tests.factories.disturbed import with_disturbed
from tests.factories.resources import DRAINED, IDLE_WAKEUPS_PER_S, WORKER_MB, with_upkeep

SMALL = Campaign(
    tuple(s for s in SYSTEMS if s.variant in {"executor", "worker"}), workloads=("noop",)
)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign of two backends on one and two cores."""
    return with_upkeep(campaign(SMALL))


def test_every_column_is_a_registered_metric() -> None:
    """Each column has an arrival for which the metric is computed."""
    assert {column.metric for column in COLUMNS} <= set(METRICS)
    plain = [column for column in COLUMNS if column not in POOLED]
    assert all(column.arrival in METRICS[column.metric].arrivals for column in plain)


def test_a_row_has_memory_and_idle_cost_per_worker(tables: Tables) -> None:
    """Burst and idle trials of a topology share a row; numbers are estimates in its units."""
    rows = {(row.name, row.cores_x_nodes): row for row in resource_rows(tables)}
    assert set(rows) == {(n, c) for n in ("thread-pool", "rq") for c in ("1 x 1", "2 x 1")}
    one, two = rows["rq", "1 x 1"].numbers, rows["rq", "2 x 1"].numbers
    estimates = tables["estimate"]
    estimate = estimates[
        (estimates["metric"] == "memory_bytes_per_worker_idle")
        & (estimates["label"] == "rq[worker]@default")
        & (estimates["arrival"] == "burst")
        & (estimates["workers_per_node"] == 2)
    ]
    assert two["idle"].value == pytest.approx(estimate["estimate"].iloc[0] / 1e6)
    assert one["wakeups"].value == pytest.approx(IDLE_WAKEUPS_PER_S)
    assert two["wakeups"].text == "not measured"
    assert two["leak"].text == "refused"


def test_a_disturbed_system_has_its_numbers_in_brackets(tables: Tables) -> None:
    """Memory and the start are measured in trials that rank nothing."""
    metrics = tables["metric"]
    is_start = metrics["metric"] == "cold_start_s"
    started = metrics.assign(value=metrics["value"].mask(is_start, 2.0))
    rows = resource_rows(with_disturbed({**tables, "metric": started}, "rq[worker]@default"))
    (row,) = (r for r in rows if (r.name, r.cores_x_nodes) == ("rq", "1 x 1"))
    for name in ("idle", "cold_start"):
        assert row.numbers[name].text.startswith("(")
        assert row.numbers[name].value is None
    assert row.numbers["leak"].text == "refused"
    assert all(n.text[0] != "(" for r in rows if r.name != "rq" for n in r.numbers.values())


def test_cold_starts_are_estimated_over_all_trials_of_a_topology(tables: Tables) -> None:
    """They do not depend on the workload: trials of two cells give one estimate."""
    metrics = tables["metric"]
    is_start = (metrics["metric"] == "cold_start_s") & (metrics["trial_id"].str.len() > 0)
    equal = metrics.assign(
        value=metrics["value"].where(~is_start, 2.0),
        is_valid=metrics["is_valid"].where(~is_start, 1),
    )
    rows = resource_rows({**tables, "metric": equal})
    (row,) = (r for r in rows if (r.name, r.cores_x_nodes) == ("rq", "1 x 1"))
    start = row.numbers["cold_start"]
    assert (start.text, start.interval) == ("2.00", "2.00 to 2.00")
    # Five blocks of a burst and an idle trial, without the invalid ones.
    assert int(start.note.partition(" trials")[0].rpartition(" ")[2]) > SMALL.blocks
    bounded = equal.assign(bound=equal["bound"].where(~is_start, "<"))
    (row,) = (
        r
        for r in resource_rows({**tables, "metric": bounded})
        if (r.name, r.cores_x_nodes) == ("rq", "1 x 1")
    )
    assert (row.numbers["cold_start"].text, row.numbers["cold_start"].interval) == ("<2.00", "")


def test_page_and_terminal_have_the_table_if_memory_was_read(
    tables: Tables, plain_page: str, tmp_path: Path
) -> None:
    """Without any reading there is no table; columns without a number are left out."""
    assert 'id="worker-cost"' in render(tables, dict.fromkeys(FIGURES.values()))
    assert 'id="worker-cost"' not in plain_page
    by_title = {
        table[0]: table for table in terminal_tables(RunTables(write(tables, tmp_path / "run")))
    }
    _, headings, rows = by_title["What does a worker cost?"]
    assert len(rows) == 4
    assert {"idle MB", "waiting MB", "idle wake-ups/s"} <= set(headings)
    assert "broker MB" not in headings


def test_memory_and_idle_cost_are_answered(tables: Tables) -> None:
    """Each has sentences with all labels; without idle trials there is none."""
    said = {a.question.name: [s.text for s in a.said] for a in answers(tables)}
    one, two = (text for text in said["memory"] if "before its tasks" in text)
    assert one.startswith("noop, ")
    assert all(name in one and name in two for name in ("rq", "thread-pool"))
    wakeups = next(text for text in said["idle"] if "wake-ups" in text)
    assert f"rq {IDLE_WAKEUPS_PER_S:.2f} (" in wakeups
    nothing = {a.question.name: a.said for a in answers(campaign(SMALL))}
    assert not nothing["memory"]
    assert not nothing["idle"]


def test_the_figure_has_the_memory_of_an_additional_worker(tables: Tables) -> None:
    """Every usable burst trial is a point in each state, and the legend has the slope."""
    data = FIGURES["memory"].data(tables)
    trials = tables["trial"]
    burst = trials[(trials["arrival"] == "burst") & (trials["flag"] != "disturbed")]
    for _, state in data[data["kind"] == "trial"].groupby("state"):
        assert set(state["trial_id"]) == set(burst["trial_id"])
    assert set(data["state"]) == {"idle", "steady", "peak", "drained"}
    legend = FIGURES["memory"].draw(data).axes[1].get_legend()
    assert legend is not None
    slopes = [float(text.get_text().partition(": ")[2]) for text in legend.get_texts()]
    assert slopes == pytest.approx([WORKER_MB * DRAINED] * 2, abs=5)


@pytest.mark.parametrize("n_bursts", [1, 2])
def test_a_single_number_of_workers_has_no_slope(n_bursts: int) -> None:
    """The legend then has only names, also where bursts of several sizes have a point there."""
    one = FIGURES["memory"].data(with_upkeep(campaign(replace(SMALL, cores=(1,)))))
    data = pd.concat([one.assign(y=one["y"] * n) for n in range(1, n_bursts + 1)])
    legend = FIGURES["memory"].draw(data).axes[1].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"rq", "thread-pool"}
