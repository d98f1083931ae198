"""Tests the course of a trial with a fault: its curves are those of the ledger."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.figures import FIGURES, draw
from lab.figures.timeline import data
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import AWAY_S, N_TASKS, with_faults

PANEL = "rq under worker-kill"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Return the curves of a campaign with faults."""
    return data(with_faults(campaign(SMALL)))


def series(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one series of the panel of a worker kill."""
    return frame[(frame["panel"] == PANEL) & (frame["series"] == name)]


def test_the_areas_under_the_rates_are_the_tasks(frame: pd.DataFrame) -> None:
    """Every task was offered and started once; the four tasks that were lost never finished."""
    counts = {}
    for name in ("offered", "started", "finished"):
        rows = series(frame, name)
        counts[name] = round(float((rows["value"] * rows["t_s"].diff().iloc[1]).sum()))
    assert counts == {"offered": N_TASKS, "started": N_TASKS, "finished": N_TASKS - 4}


def test_lost_tasks_remain_in_the_backlog(frame: pd.DataFrame) -> None:
    """Its last value is the number of tasks that never finished."""
    assert series(frame, "backlog")["value"].iloc[-1] == 4


def test_a_second_execution_is_offered_and_finished_once() -> None:
    """The rows of a task have the same submit call."""
    tables = with_faults(campaign(SMALL))
    twice = {
        name: pd.concat([rows, rows.head(1).assign(attempt_no=2)])
        for name, rows in tables.items()
        if name.startswith("task/")
    }
    rows = data({**tables, **twice})
    backlog = rows[rows["series"] == "backlog"]
    assert (backlog["value"] >= 0).all()
    assert series(rows, "backlog")["value"].iloc[-1] == 4


def test_each_hit_and_its_end_are_marked(frame: pd.DataFrame) -> None:
    """Two hits, each restarted `AWAY_S` seconds after its planned instant."""
    hits, ends = series(frame, "hit")["t_s"], series(frame, "restarted")["t_s"]
    assert len(hits) == len(ends) == 2
    planned = hits.to_numpy() - 0.001  # a hit is made up as a millisecond late
    assert ends.to_numpy() == pytest.approx(planned + AWAY_S)


def test_each_fault_has_the_trial_with_the_most_harmed_tasks(frame: pd.DataFrame) -> None:
    """The thread pool survived what rq did not; the control has no hit and no panel."""
    assert list(dict.fromkeys(frame["panel"])) == [
        "rq under broker-kill:aof-always",
        PANEL,
    ]


def test_it_has_two_panels_for_each_trial(frame: pd.DataFrame) -> None:
    """Rates on the left, backlog on the right, both with the marks of the hits."""
    axes = draw(FIGURES["timeline"], frame).axes
    assert [ax.get_ylabel() for ax in axes[:2]] == [
        "tasks per second",
        "unfinished tasks",
    ]
    assert len(axes) == 4
