"""Tests each kind of fault on a system that must lose tasks by it, and on one that must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.faults import FaultKind
from lab.planning.fault_tasks import KINDS
from lab.providers.local import LocalCluster
from tests.contract.fault_cases import KEEPS, LOSES, Case, keeps, loses, run

# The kinds that `test_faults` tests on a system that must lose tasks, or on one that must not.
TESTED_LOSES = {FaultKind.CHILD_KILL, FaultKind.SCHEDULER_KILL}
TESTED_KEEPS = {
    *(FaultKind.WORKER_TERM, FaultKind.POISON),
    *(FaultKind.SUBMITTER_KILL, FaultKind.SCHEDULER_KILL, FaultKind.CLOCK_STEP),
}
# The kinds without a system that must lose, or without one that must not, and why.
NEVER_HARM = {
    FaultKind.WORKER_PAUSE,  # it only waits
    FaultKind.BROKER_PAUSE,  # it only waits
    FaultKind.CLOCK_STEP,  # it harms jobs: see `test_faults`, `celery-beat`
}
ALWAYS_HARM = {
    FaultKind.OUTLIVE,  # the other systems never deliver again, or only after some minutes
    FaultKind.WORKER_KILL,  # a local system needs a minute: see `test_faults`, `celery@safe`
}


def name_of(case: Case) -> str:
    """Return the id of a test."""
    return case.name


@pytest.mark.slow
@pytest.mark.calm
@pytest.mark.parametrize("case", LOSES, ids=name_of)
def test_a_fault_harms_tasks_of_this_system(case: Case, tmp_path: Path) -> None:
    """At least one task is lost, stuck, failed or executed twice."""
    harmed = run(tmp_path, case)
    assert loses(case, harmed), harmed


@pytest.mark.slow
@pytest.mark.calm
@pytest.mark.parametrize("case", KEEPS, ids=name_of)
def test_a_fault_harms_no_task_of_this_system(case: Case, tmp_path: Path) -> None:
    """All others than those that are the fault itself finish once."""
    harmed = run(tmp_path, case)
    assert keeps(case, harmed), harmed


def test_each_kind_has_a_system_that_loses_and_one_that_keeps() -> None:
    """A new kind without a case fails here."""
    kinds = {*LocalCluster.faults, *KINDS}
    assert {case.kind for case in LOSES} == kinds - NEVER_HARM - TESTED_LOSES
    assert {case.kind for case in KEEPS} == kinds - ALWAYS_HARM - TESTED_KEEPS
