"""Tests faults on real systems: one that must lose what it executed, and one that must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Periodic
from lab.planning import faults
from lab.planning.presets import CRON
from tests.factories.fault_trials import LONG, goes_on, interrupted, lost, tables_of
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.slow, pytest.mark.calm]


@pytest.mark.parametrize("label", ["celery", "rq", "django-q"])
def test_the_control_loses_nothing(label: str, tmp_path: Path) -> None:
    """Everything is armed, and nothing is done."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.NONE))
    assert tables["fault"].status.tolist() == ["hit"]
    assert lost(tables) == set()


def test_celery_loses_what_a_killed_worker_executed(tmp_path: Path) -> None:
    """By default a task is acknowledged before it runs (METHOD M29)."""
    fault = of_kind(FaultKind.WORKER_KILL)
    tables = tables_of(tmp_path, "celery@default", fault, 6.0, **LONG)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.activity, hit.proof) == ("hit", "executing", "exit code -9")
    assert hit.restarted_ns > hit.injected_ns
    assert interrupted(tables)
    outcomes = tables["outcome"]
    assert {*outcomes[outcomes.outcome == "lost-silent"].task_id} == interrupted(tables)


def test_celery_safe_executes_again_what_a_killed_worker_executed(tmp_path: Path) -> None:
    """The visibility timeout of a minute has to pass.

    Both tasks execute at the kill, because a message that Kombu has popped and not yet noted is
    lost: see `test_pops`.
    """
    fault = of_kind(FaultKind.WORKER_KILL)
    tables = tables_of(tmp_path, "celery@safe", fault, 95.0, **LONG)
    assert interrupted(tables)
    assert lost(tables) == set()
    again = tables["task"][tables["task"].attempt_no == 2]
    assert interrupted(tables) <= {*again.task_id}


@pytest.mark.parametrize("label", ["rq", "django-q[redis]", "multiprocessing"])
def test_a_killed_child_loses_its_task(label: str, tmp_path: Path) -> None:
    """None of them delivers again without a retry (METHOD M29)."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.CHILD_KILL), 6.0, **LONG)
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


def test_a_killed_scheduler_misses_jobs_until_it_is_restarted(tmp_path: Path) -> None:
    """Beat has no copy of the jobs that are due meanwhile, so it cannot start them later."""
    arrival, fault = Periodic(1, 20, every_s=1.0), of_kind(FaultKind.SCHEDULER_KILL)
    tables = run(tmp_path, spec_of("celery-beat", arrival=arrival, fault=fault)).tables
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.proof) == ("hit", "exit code -9")
    missed = tables["firing"][tables["firing"].outcome == "missed"]
    assert missed.nominal_ns.between(hit.injected_ns, hit.restarted_ns + 5e9).any()
    assert (tables["task"].t3_ns > hit.restarted_ns).any()


def test_a_killed_qcluster_starts_later_what_was_due(tmp_path: Path) -> None:
    """The next run of each job is a row, which its scheduler reads 30 s after its restart.

    Takes two minutes: the first run is not hit, and the second is late.
    """
    arrival, fault = Periodic(1, 2, cron=CRON), of_kind(FaultKind.SCHEDULER_KILL)
    tables = run(tmp_path, spec_of("django-q", arrival=arrival, fault=fault)).tables
    (hit,) = tables["fault"].itertuples()
    assert (hit.status, hit.role, hit.proof) == ("hit", "scheduler", "exit code -9")
    firings = tables["firing"]
    assert firings.outcome.tolist() == ["fired", "fired"]
    (late,) = firings[firings.nominal_ns.between(hit.injected_ns, hit.restarted_ns)].itertuples()
    assert late.started_ns > hit.restarted_ns


def test_a_killed_server_is_restarted(tmp_path: Path) -> None:
    """The system goes on with what it offers after the restart, although its data is lost."""
    fault = replace(of_kind(FaultKind.BROKER_KILL), persistence="none")
    tables = tables_of(tmp_path, "celery", fault)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.proof) == ("hit", "exit code -9")
    assert goes_on(tables)


def test_a_killed_submitter_loses_no_acknowledged_task(tmp_path: Path) -> None:
    """The rest of the window is not offered, which is no loss."""
    tables = tables_of(tmp_path, "rq", of_kind(FaultKind.SUBMITTER_KILL))
    assert tables["fault"].proof.tolist() == ["exit code -9"]
    submits = tables["submit"]
    acknowledged = submits[(submits.phase == "measure") & (submits.ack == "ok")]
    assert 0 < len(acknowledged) < len(tables["outcome"])
    assert lost(tables).isdisjoint(acknowledged.task_id)


def test_a_poisonous_task_is_executed_again_and_again_by_celery_safe(tmp_path: Path) -> None:
    """Nothing else is lost, and the task never finishes."""
    tables = tables_of(tmp_path, "celery@safe", of_kind(FaultKind.POISON))
    (row,) = tables["fault"].to_dict("records")
    assert row["status"] == "hit"
    assert lost(tables) == {int(row["task_ids"])}
    runs = tables["task"][tables["task"].task_id == int(row["task_ids"])]
    assert len(runs) > 2
    assert {*runs.outcome} <= {"unfinished", "unstarted"}


def test_a_worker_that_gets_time_to_end_loses_nothing(tmp_path: Path) -> None:
    """Celery's warm shutdown finishes what it executes (docs, Workers Guide)."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.WORKER_TERM), 10.0, **LONG)
    hit = tables["fault"].iloc[-1]
    assert (hit.status, hit.activity) == ("hit", "executing")
    assert hit.proof.startswith("exit code 0 ")
    assert {*tables["outcome"].outcome} == {"ok"}


@pytest.mark.parametrize("label", ["celery", "rq", "django-q", "thread-pool"])
@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_clock_loses_no_task(step_s: float, label: str, tmp_path: Path) -> None:
    """Tasks without a time limit pass through, and the clock is true again at the end."""
    fault = replace(of_kind(FaultKind.CLOCK_STEP), step_s=step_s)
    tables = tables_of(tmp_path, label, fault, deadline_s=10.0)
    hit = tables["fault"].iloc[-1]
    assert f"wall clock {step_s:+.0f}"[:14] in hit.proof
    assert "healed: wall clock" in hit.proof
    assert hit.healed_ns - hit.injected_ns >= 5e9
    assert lost(tables) == set()


def during(folder: Path, label: str, fault: Fault) -> tuple[int, int]:
    """Run a job every second, and return its firings from hit to healing, and those before it."""
    arrival = faults.fitted(Periodic(1, 1, every_s=1.0), fault)
    result = run(folder, spec_of(label, arrival=arrival, fault=fault))
    assert result.row.status == "ok", result.row.reason
    assert result.row.flag != "invalid", result.row.flag_reasons
    hit = result.tables["fault"].iloc[-1]
    assert hit.status == "hit", hit.reason
    starts = result.tables["task"].t3_ns
    in_step = starts.between(hit.injected_ns, hit.healed_ns)
    return int(in_step.sum()), int((starts < hit.injected_ns).sum())


def test_a_clock_that_goes_back_stops_celery_beat(tmp_path: Path) -> None:
    """Nothing is due until the clock has caught up (celery issue 6742)."""
    fault = replace(of_kind(FaultKind.CLOCK_STEP), step_s=-3600.0)
    in_step, before = during(tmp_path, "celery-beat", fault)
    assert before >= 3
    assert in_step <= 1


def test_a_clock_that_goes_back_does_not_stop_a_deadline_loop(tmp_path: Path) -> None:
    """It waits by the monotonic clock, in the driver, whose own readings stay true."""
    fault = replace(of_kind(FaultKind.CLOCK_STEP), step_s=-3600.0)
    in_step, before = during(tmp_path, "deadline-loop", fault)
    assert before >= 3
    assert in_step >= 4
