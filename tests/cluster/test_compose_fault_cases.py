"""Tests in containers which systems lose tasks by a fault, and which do not.

`test_compose_faults` has the other kinds, with the proof of each hit.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.core.faults import FaultKind
from tests.cluster.containers import left_of
from tests.contract.fault_cases import BURST, KEEPS, LOSES, PREFETCHED, Case, keeps, loses, run
from tests.contract.test_fault_cases import name_of

pytestmark = [pytest.mark.cluster, pytest.mark.calm, pytest.mark.usefixtures("containers")]

# `test_compose_faults` tests the first three on such systems. The last two are tasks, for which a
# container is no other place than a process; the limit of `worker-oom` is that of a container.
ELSEWHERE = {
    *(FaultKind.WORKER_KILL, FaultKind.WORKER_PAUSE, FaultKind.BROKER_PAUSE),
    *(FaultKind.POISON, FaultKind.OUTLIVE),
}
# Faults and servers that only containers have.
MORE_LOSES = (
    # It delivers again tasks that finished up to 1.4 s before the kill.
    Case("celery[prefork+rabbitmq]@safe", "broker-kill", 60.0, BURST),
)
MORE_KEEPS = (
    Case("celery", "network-cut:3s", 30.0),
    # With `appendfsync always`, Redis ends at a failed write, and the lab restarts it.
    Case("celery", "broker-disk-full:3s:aof-always", 30.0, n_held=PREFETCHED),
    Case("celery[prefork+rabbitmq]@safe", "worker-kill", 30.0),
)


@pytest.mark.parametrize(
    "case", [*(case for case in LOSES if case.kind not in ELSEWHERE), *MORE_LOSES], ids=name_of
)
def test_a_fault_harms_tasks_of_this_system(case: Case, tmp_path: Path) -> None:
    """At least one task is lost, stuck, failed or executed twice; no container remains."""
    harmed = run(tmp_path, case, provider="compose")
    assert loses(case, harmed), harmed
    assert left_of(os.getpid()) == []


@pytest.mark.parametrize(
    "case", [*(case for case in KEEPS if case.kind not in ELSEWHERE), *MORE_KEEPS], ids=name_of
)
def test_a_fault_harms_no_task_of_this_system(case: Case, tmp_path: Path) -> None:
    """All others than those that are the fault itself finish once; no container remains."""
    harmed = run(tmp_path, case, provider="compose")
    assert keeps(case, harmed), harmed
    assert left_of(os.getpid()) == []
