"""Tests the table and the figure of schedules, in the terminal and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.figures import FIGURES, Tables
from lab.report import overview
from lab.report.number_format import NOT_MEASURED
from lab.report.page import render
from lab.report.run_tables import RunTables
from lab.report.schedules import schedules
from lab.report.terminal import terminal_tables
from tests.factories.campaigns import SYSTEMS, Campaign, campaign, write
from tests.factories.schedules import FAULTS, N_OCCURRENCES, SCHEDULES, TRIALS, with_schedules

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "worker"})
SMALL = Campaign(systems=FEW, cores=(1,), workloads=("noop",))
DUE = N_OCCURRENCES * TRIALS


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a small campaign with periodic trials of two backends."""
    return with_schedules(campaign(replace(SMALL, blocks=2)))


def test_a_row_summarizes_its_trials(tables: Tables) -> None:
    """Counts are sums, the latest firing is the maximum, and the most punctual row is first."""
    rows = schedules(tables)
    assert len(rows) == len(FAULTS) * len(SCHEDULES)
    assert {row.n_due for row in rows} == {DUE}
    assert {tuple(row.counts) for row in rows} == {("2", "2", "0", "0")}
    for first, second in (rows[:2], rows[2:]):
        assert first.title == second.title
        assert first.latest.value is not None
        assert second.latest.value is not None
        assert first.latest.value < second.latest.value
    drift = rows[1].numbers["drift_s_per_occurrence"].value
    assert drift == pytest.approx(2_000, rel=0.1)


def test_periodic_trials_have_a_separate_table(tables: Tables, tmp_path: Path) -> None:
    """They are not in the summary, and a run without them has no second table."""
    summary, schedule = terminal_tables(RunTables(write(tables, tmp_path / "run")))
    assert schedule[0] == "Is the schedule kept?"
    assert len(summary[2]) == len(FEW)
    assert all(str(DUE) in row for row in schedule[2])
    (only,) = terminal_tables(RunTables(write(campaign(SMALL), tmp_path / "other")))
    assert only[2]


def test_the_page_has_a_section_for_periodic_trials(tables: Tables, plain_page: str) -> None:
    """Without periodic trials there is no section."""
    assert 'id="schedules"' in render(tables, dict.fromkeys(FIGURES.values()))
    assert 'id="schedules"' not in plain_page


def test_invalid_trials_have_no_counts(tables: Tables) -> None:
    """If every trial is invalid, numbers and counts are `not measured` instead of zero."""
    periodic = tables["trial"]["arrival"] == "periodic"
    flags = tables["trial"]["flag"].where(~periodic, "invalid")
    rows = schedules({**tables, "trial": tables["trial"].assign(flag=flags)})
    assert {row.latest.text for row in rows} == {"not measured"}
    assert {count for row in rows for count in row.counts} == {"not measured"}
    assert {row.flags for row in rows} == {"2 invalid"}


def test_every_occurrence_is_a_point(tables: Tables) -> None:
    """Missed occurrences have no error; the legend counts them."""
    data = FIGURES["schedule"].data(tables)
    assert len(data) == len(FAULTS) * len(SCHEDULES) * TRIALS * (N_OCCURRENCES + 1)
    assert data.loc[data["outcome"] == "missed", "error_s"].isna().all()
    axes = FIGURES["schedule"].draw(data).axes
    drawn = sum(len(np.asarray(line.get_xdata())) for ax in axes for line in ax.get_lines()[:2])
    assert drawn == len(data)
    legends = [ax.get_legend() for ax in axes]
    texts = {text.get_text() for legend in legends if legend for text in legend.get_texts()}
    assert texts == {f"{name}: {DUE - 2} / 2 / 2" for name in ("inline", "rq")}


def test_a_scheduled_job_is_no_task(tables: Tables) -> None:
    """The first screen had 0 of 1 lost tasks for a scheduler with one job, at most 98 %."""
    trials = tables["trial"]
    jobs = {**tables, "trial": trials[trials["arrival"] == "periodic"]}
    counts = [overview.OverviewColumn("lost", "lost", overview.counted("n_lost"))]
    assert {line.numbers[0].text for line in overview.lines(jobs, counts)} == {NOT_MEASURED}
    assert NOT_MEASURED not in {
        line.numbers[0].text for line in overview.lines(tables, counts) if line.name == "rq"
    }
