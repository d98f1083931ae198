"""What is shown of kept schedules: in the terminal, on the page, and as a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab import report
from lab.figures import FIGURES, Tables
from lab.report.page import render
from lab.report.schedules import schedules
from tests.factories.campaigns import SYSTEMS, Campaign, campaign, write
from tests.factories.schedules import FAULTS, N_OCCURRENCES, SCHEDULES, TRIALS, with_schedules

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "simple-worker"})
SMALL = Campaign(systems=FEW, cores=(1,), workloads=("noop",))
OWED = N_OCCURRENCES * TRIALS


@pytest.fixture(scope="module")
def tables() -> Tables:
    """A small campaign with periodic trials of two systems."""
    return with_schedules(campaign(replace(SMALL, blocks=2)))


def test_a_row_holds_what_its_trials_say(tables: Tables) -> None:
    """Counts are sums over trials, the latest is the maximum, and the punctual come first."""
    rows = schedules(tables)
    assert len(rows) == len(FAULTS) * len(SCHEDULES)
    assert {row.owed for row in rows} == {OWED}
    assert {tuple(row.counts) for row in rows} == {("2", "2", "0", "0")}
    for first, second in (rows[:2], rows[2:]):
        assert first.title == second.title
        assert first.latest.value is not None
        assert second.latest.value is not None
        assert first.latest.value < second.latest.value
    drift = rows[1].numbers["drift_s_per_occurrence"].value
    assert drift == pytest.approx(2_000, rel=0.1)


def test_periodic_trials_have_a_table_of_their_own(tables: Tables, tmp_path: Path) -> None:
    """They are no row of the summary, and a run without them has no second table."""
    summary, kept = report.terminal_tables(write(tables, tmp_path / "run"))
    assert kept[0] == "Is the schedule kept?"
    assert len(summary[2]) == len(FEW)
    assert all(str(OWED) in row for row in kept[2])
    (only,) = report.terminal_tables(write(campaign(SMALL), tmp_path / "other"))
    assert only[2]


def test_the_page_asks_only_where_there_is_an_answer(tables: Tables) -> None:
    """The section is there with periodic trials, and gone without."""
    nothing = dict.fromkeys(FIGURES.values())
    assert 'id="schedules"' in render(tables, nothing)
    assert 'id="schedules"' not in render(campaign(SMALL), nothing)


def test_what_no_trial_can_tell_is_no_zero(tables: Tables) -> None:
    """Where every trial is invalid, a row says so and counts nothing."""
    periodic = tables["trial"]["arrival"] == "periodic"
    flags = tables["trial"]["flag"].where(~periodic, "invalid")
    rows = schedules({**tables, "trial": tables["trial"].assign(flag=flags)})
    assert {row.latest.text for row in rows} == {"not measured"}
    assert {word for row in rows for word in row.counts} == {"not measured"}
    assert {row.flags for row in rows} == {"2 invalid"}


def test_every_occurrence_is_a_point(tables: Tables) -> None:
    """Those that were missed have no error, and a legend counts them."""
    data = FIGURES["schedule"].data(tables)
    assert len(data) == len(FAULTS) * len(SCHEDULES) * TRIALS * (N_OCCURRENCES + 1)
    assert data.loc[data["verdict"] == "missed", "error_s"].isna().all()
    axes = FIGURES["schedule"].draw(data).axes
    drawn = sum(len(np.asarray(line.get_xdata())) for ax in axes for line in ax.get_lines()[:2])
    assert drawn == len(data)
    legends = [ax.get_legend() for ax in axes]
    texts = {text.get_text() for legend in legends if legend for text in legend.get_texts()}
    assert texts == {f"{name}: {OWED - 2} / 2 / 2" for name in ("inline", "rq")}
