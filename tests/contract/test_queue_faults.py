"""Tests faults on dramatiq, huey, taskiq and Django's tasks: what becomes of their tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.faults import FaultKind, of_kind
from lab.core.outcomes import TaskOutcome
from tests.factories.fault_trials import LONG, goes_on, interrupted, lost, tables_of

pytestmark = [pytest.mark.slow, pytest.mark.calm]

LOST, STUCK = TaskOutcome.LOST_SILENT, TaskOutcome.STUCK
# In the time of a test, which is shorter than that until the task is delivered again.
UNKNOWN = TaskOutcome.UNDECIDED
# What becomes of the tasks that a worker executes when it is killed, with the default settings.
KILLED = {
    # Neither has an acknowledgement: the task leaves the queue before it runs.
    "huey[process]": LOST,
    "taskiq[processes+list]": LOST,
    # Its row states that it runs, and nothing changes that.
    "django-tasks[database+sqlite]": STUCK,
    # Delivered again after a minute by a random command, after ten by a worker that has received
    # another message, and reported as failed after fifteen by RQ's maintenance.
    "dramatiq": UNKNOWN,
    "taskiq[processes+stream]": UNKNOWN,
    "django-tasks[rq]": UNKNOWN,
}


@pytest.mark.parametrize(("label", "outcome"), KILLED.items())
def test_a_killed_worker_leaves_its_tasks_as_documented(
    label: str, outcome: TaskOutcome, tmp_path: Path
) -> None:
    """The worker is restarted, and no other process had the tasks."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.WORKER_KILL), 6.0, **LONG)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.activity, hit.proof) == ("hit", "executing", "exit code -9")
    assert hit.restarted_ns > hit.injected_ns
    outcomes = tables["outcome"].set_index("task_id").outcome
    assert {outcomes[task_id] for task_id in interrupted(tables)} == {outcome}


def test_dramatiq_safe_executes_again_what_a_killed_worker_executed(tmp_path: Path) -> None:
    """A minute without a heartbeat has to pass."""
    tables = tables_of(tmp_path, "dramatiq@safe", of_kind(FaultKind.WORKER_KILL), 95.0, **LONG)
    assert interrupted(tables)
    assert lost(tables) == set()
    again = tables["task"][tables["task"].attempt_no == 2]
    assert interrupted(tables) <= {*again.task_id}


def test_huey_interrupts_what_it_executes_at_sigterm(tmp_path: Path) -> None:
    """That is its default (`graceful_signal`), and no process runs the tasks again."""
    tables = tables_of(tmp_path, "huey[process]", of_kind(FaultKind.WORKER_TERM), 10.0, **LONG)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.activity) == ("hit", "executing")
    assert interrupted(tables)
    # KeyboardInterrupt in each, and no second attempt.
    runs = tables["task"][tables["task"].task_id.isin(interrupted(tables))]
    assert {*runs.outcome} == {"cancelled"}
    assert len(runs) == len(interrupted(tables))
    outcomes = tables["outcome"].set_index("task_id").outcome
    assert {outcomes[task_id] for task_id in interrupted(tables)} == {LOST}


def test_a_killed_child_of_dramatiq_ends_its_master(tmp_path: Path) -> None:
    """The master stops its other processes and ends; the lab restarts it, as a supervisor does.

    That is a row of the hit and of its restart, and no failure of the trial.
    """
    tables = tables_of(tmp_path, "dramatiq", of_kind(FaultKind.CHILD_KILL), 20.0)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.role) == ("hit", "child")
    assert hit.restarted_ns > hit.injected_ns
    assert goes_on(tables)


@pytest.mark.parametrize("label", ["taskiq[processes+list]", "huey[process]"])
def test_a_killed_child_is_replaced_by_its_worker(label: str, tmp_path: Path) -> None:
    """No part of the cluster ends, so the lab restarts nothing."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.CHILD_KILL), 6.0, **LONG)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.role, hit.activity) == ("hit", "child", "executing")
    assert tables["fault"].restarted_ns.isna().all()
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


@pytest.mark.parametrize(
    "label",
    ["dramatiq", "huey[process]", "taskiq[processes+list]", "taskiq", "django-tasks[rq]"],
)
def test_a_killed_server_is_restarted(label: str, tmp_path: Path) -> None:
    """Workers and client connect again, although what waited in Redis is gone."""
    fault = replace(of_kind(FaultKind.BROKER_KILL), persistence="none")
    tables = tables_of(tmp_path, label, fault, 10.0)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.proof) == ("hit", "exit code -9")
    assert goes_on(tables)
