"""Tests the injector on a scripted cluster: hits, proofs, healing, restarts and misses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.core.faults import Fault, FaultKind, Role, of_kind
from lab.core.model import Paced
from lab.planning.phases import Phase
from lab.results.schema import FaultRow
from lab.running import injector
from lab.running.faults import injections
from lab.running.injection import Activity
from lab.running.injector import Injector
from lab.running.supervisor import with_restarts
from tests.factories.scripted_cluster import ScriptedCluster
from tests.factories.trials import spec_of

TASK = Phase.MEASURE.first_task


@pytest.fixture
def cluster(tmp_path: Path) -> ScriptedCluster:
    """A cluster that executes nothing yet."""
    return ScriptedCluster(tmp_path / "ledger")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up aiming early."""
    monkeypatch.setattr(injector, "AIM_S", 0.05)


def rows_of(
    cluster: ScriptedCluster, fault: Fault, until: Callable[[Injector], bool]
) -> list[FaultRow]:
    """Inject a fault into a window of a second until a condition holds; return the rows."""
    spec = spec_of("celery", "io", Paced(10, 10.0), size=50_000, fault=fault)
    simulated: Any = cluster
    running = Injector(simulated, spec)
    running.start(time.monotonic_ns() - 1_000_000_000)  # every hit is due at once
    deadline = time.monotonic() + 10
    while not until(running):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return with_restarts(running.stop(), running.supervisor.restarts)


def test_every_kind_of_the_experiment_that_hits_processes_has_a_file() -> None:
    """The kinds are found by their classes, not by a list."""
    assert {FaultKind.NONE, FaultKind.WORKER_KILL, FaultKind.CHILD_KILL} <= injections().keys()


def test_a_hit_is_proved_and_names_the_interrupted_tasks(cluster: ScriptedCluster) -> None:
    """The activity is that of all processes of the worker."""
    cluster.executes(TASK, TASK + 1)
    (row,) = rows_of(cluster, Fault(FaultKind.WORKER_KILL), lambda i: len(i.rows) == 1)
    assert (row.status, row.proof, row.activity) == ("hit", "exit code -9", Activity.EXECUTING)
    assert row.task_ids == f"{TASK} {TASK + 1}"
    assert (row.role, row.target, row.hit) == (Role.WORKER, "node0-0 pid 7", 0)
    assert row.injected_ns is not None
    assert row.injected_ns >= row.planned_ns


def test_an_ended_part_is_restarted_as_by_a_supervisor(cluster: ScriptedCluster) -> None:
    """The row has the instant, which is `restart_s` after the end."""
    cluster.executes(TASK)
    fault = Fault(FaultKind.WORKER_KILL, restart_s=0.1)
    (row,) = rows_of(cluster, fault, lambda i: "restart node0-0" in cluster.calls)
    assert row.injected_ns is not None
    assert row.restarted_ns is not None
    assert row.restarted_ns - row.injected_ns >= 100_000_000
    assert cluster.supervised


def test_without_a_restart_policy_nothing_is_restarted(cluster: ScriptedCluster) -> None:
    """`no-restart` leaves the part dead."""
    cluster.executes(TASK)
    fault = Fault(FaultKind.WORKER_KILL, restart_s=None)
    (row,) = rows_of(cluster, fault, lambda i: len(i.rows) == 1)
    assert cluster.calls == ["kill worker"]
    assert row.restarted_ns is None


def test_a_hit_without_a_target_is_a_row_and_is_repeated(cluster: ScriptedCluster) -> None:
    """The first try finds an idle worker; a later one hits."""

    def until(running: Injector) -> bool:
        if len(running.rows) == 1:
            cluster.executes(TASK)
        return any(row.status == "hit" for row in running.rows)

    cluster.executes(5)  # a task of the warm-up: the process is a worker, and idle in the window
    fault = Fault(FaultKind.WORKER_KILL)
    spec = spec_of("celery", "io", Paced(600, 10.0), size=50_000, fault=fault)
    simulated: Any = cluster
    running = Injector(simulated, spec)
    running.start(time.monotonic_ns() - 55_000_000_000)
    deadline = time.monotonic() + 10
    while not until(running):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    missed, *others = running.stop()
    assert (missed.status, missed.reason, missed.injected_ns) == (
        "missed",
        "no target was executing",
        None,
    )
    assert [row.status for row in others][-1] == "hit"


def test_a_target_that_is_refused_is_a_missed_row(cluster: ScriptedCluster) -> None:
    """The sentence of the provider is the reason, and nothing is raised."""
    cluster.executes(TASK)
    cluster.refusal = "node0-0 pid 7 is not a process of this trial, so it is not hit."
    rows = rows_of(cluster, Fault(FaultKind.WORKER_KILL), lambda i: len(i.rows) >= 1)
    assert {row.status for row in rows} == {"missed"}
    assert rows[0].reason == cluster.refusal


def test_a_pause_is_healed_after_its_length_or_at_the_end(cluster: ScriptedCluster) -> None:
    """Nothing stays stopped when the trial ends before."""
    cluster.executes(TASK)
    fault = Fault(FaultKind.WORKER_PAUSE, heal_s=0.1)
    (row,) = rows_of(cluster, fault, lambda i: "resume worker" in cluster.calls)
    assert row.injected_ns is not None
    assert row.healed_ns is not None
    assert row.healed_ns - row.injected_ns >= 100_000_000
    cluster.calls.clear()
    (row,) = rows_of(cluster, replace(fault, heal_s=60.0), lambda i: len(i.rows) == 1)
    assert cluster.calls == ["pause worker", "resume worker"]
    assert row.healed_ns is not None


@pytest.mark.parametrize("kind", [FaultKind.CLOCK_STEP, FaultKind.NETWORK_SLOW])
def test_a_measured_fault_is_proved_at_the_hit_and_at_the_end(
    kind: FaultKind, cluster: ScriptedCluster
) -> None:
    """The row has both measurements; one that has not ended is not healed."""
    fault = replace(of_kind(kind), heal_s=60.0)
    (row,) = rows_of(cluster, fault, lambda i: len(i.rows) == 1)
    assert (row.proof, row.reason) == ("measured; healed: measured", "")
    assert row.healed_ns is not None
    assert len(cluster.calls) == 2
    cluster.lasting = True
    (row,) = rows_of(cluster, fault, lambda i: len(i.rows) == 1)
    assert (row.proof, row.reason, row.healed_ns) == ("measured", "It still lasts.", None)


def test_the_control_touches_nothing(cluster: ScriptedCluster) -> None:
    """It has rows like a fault, and the end of a part stays a failure of the trial."""
    (row,) = rows_of(cluster, Fault(FaultKind.NONE), lambda i: len(i.rows) == 1)
    assert (row.status, row.proof, row.task_ids) == ("hit", "control: nothing was done", "")
    assert cluster.calls == []
    assert not cluster.supervised


def test_a_defect_of_the_thread_is_raised_by_stop(
    cluster: ScriptedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the trial instead of ending the faults silently."""
    monkeypatch.setattr(cluster, "targets", lambda _: 1 / 0)
    spec = spec_of("celery", "io", Paced(10, 10.0), fault=Fault(FaultKind.WORKER_KILL))
    simulated: Any = cluster
    running = Injector(simulated, spec)
    running.start(time.monotonic_ns() - 1_000_000_000)
    running._thread.join(10)
    with pytest.raises(ZeroDivisionError):
        running.stop()
