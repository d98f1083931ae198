"""Tests faults in containers on real systems: each hit is proved, and nothing of it remains."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Periodic
from tests.cluster.containers import left_of
from tests.factories import fault_trials
from tests.factories.fault_trials import interrupted, lost
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.calm, pytest.mark.usefixtures("containers")]


def tables_of(
    folder: Path, label: str, fault: Fault, deadline_s: float = 3.0
) -> dict[str, pd.DataFrame]:
    """Run one trial in containers, and return its tables; nothing remains in the engine."""
    tables = fault_trials.tables_of(folder, label, fault, deadline_s, provider="compose")
    assert left_of(os.getpid()) == []
    return tables


def last_hit(tables: dict[str, pd.DataFrame]) -> pd.Series:
    """Return the last row of the table of faults, which was a hit."""
    hit = tables["fault"].iloc[-1]
    assert hit.status == "hit", hit.reason
    return hit


@pytest.mark.parametrize("label", ["celery", "rq", "multiprocessing"])
def test_the_control_loses_nothing(label: str, tmp_path: Path) -> None:
    """Everything is prepared, and nothing is done."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.NONE))
    last_hit(tables)
    assert lost(tables) == set()


def test_celery_loses_what_a_killed_container_executed(tmp_path: Path) -> None:
    """By default a task is acknowledged before it runs (METHOD M29)."""
    tables = tables_of(tmp_path, "celery@default", of_kind(FaultKind.WORKER_KILL))
    hit = last_hit(tables)
    assert (hit.activity, hit.proof) == ("executing", "State.ExitCode 137")
    assert hit.restarted_ns > hit.injected_ns
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)
    after = tables["task"][tables["task"].t3_ns > hit.restarted_ns]
    assert len(after) > 10


def test_a_killed_container_interrupts_what_its_forks_executed(tmp_path: Path) -> None:
    """RQ forks for each task, so its processes are others a moment later."""
    tables = tables_of(tmp_path, "rq", of_kind(FaultKind.WORKER_KILL))
    assert last_hit(tables).activity == "executing"
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


@pytest.mark.parametrize("label", ["rq", "celery", "multiprocessing"])
def test_a_killed_child_is_replaced(label: str, tmp_path: Path) -> None:
    """The process ends, its worker goes on, and its task is lost by these defaults."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.CHILD_KILL))
    hit = last_hit(tables)
    assert hit.proof.endswith("has ended")
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


@pytest.mark.parametrize("label", ["celery", "rq"])
def test_a_terminated_worker_finishes_its_tasks(label: str, tmp_path: Path) -> None:
    """The signal reaches each worker of the node once; their warm shutdown loses nothing."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.WORKER_TERM), deadline_s=10.0)
    assert "State.ExitCode 0" in last_hit(tables).proof
    assert lost(tables) == set()


@pytest.mark.parametrize("kind", [FaultKind.WORKER_PAUSE, FaultKind.BROKER_PAUSE])
def test_a_paused_container_loses_nothing(kind: FaultKind, tmp_path: Path) -> None:
    """Its tasks finish when it continues."""
    fault = replace(of_kind(kind), heal_s=3.0)
    tables = tables_of(tmp_path, "celery", fault, deadline_s=10.0)
    hit = last_hit(tables)
    assert hit.proof == "State.Status paused"
    assert hit.healed_ns - hit.injected_ns >= 3e9
    assert lost(tables) == set()


@pytest.mark.parametrize(
    ("label", "persistence"),
    [("celery", "none"), ("celery", "aof-always"), ("celery[prefork+rabbitmq]", "")],
)
def test_a_killed_server_is_restarted_with_its_data(
    label: str, persistence: str, tmp_path: Path
) -> None:
    """The system goes on with what it offers after the restart."""
    fault = replace(of_kind(FaultKind.BROKER_KILL), persistence=persistence)
    tables = tables_of(tmp_path, label, fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == "State.ExitCode 137"
    after = tables["task"][tables["task"].t3_ns > hit.restarted_ns]
    assert len(after) > 10


def test_a_cut_network_heals(tmp_path: Path) -> None:
    """The interfaces of a worker are down for a while, and its addresses are the same after it."""
    fault = replace(of_kind(FaultKind.NETWORK_CUT), heal_s=3.0)
    tables = tables_of(tmp_path, "celery", fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == "interfaces up: {'eth0': False}"
    assert hit.healed_ns - hit.injected_ns >= 3e9
    tasks = tables["task"]
    during = tasks[(tasks.t3_ns > hit.injected_ns + 1e9) & (tasks.t3_ns < hit.healed_ns)]
    after = tasks[tasks.t3_ns > hit.healed_ns]
    assert len(during) <= 10  # those that the worker had fetched before
    assert len(after) > 10


@pytest.mark.parametrize(
    ("label", "persistence", "folder"),
    [
        ("celery", "aof-everysec", "/data"),
        ("celery[prefork+rabbitmq]", "", "/var/lib/rabbitmq"),
    ],
)
def test_a_full_disk_stops_a_server_that_must_write(
    label: str, persistence: str, folder: str, tmp_path: Path
) -> None:
    """The server refuses or blocks while its disk is full, and goes on when it is freed."""
    fault = replace(of_kind(FaultKind.BROKER_DISK_FULL), persistence=persistence, heal_s=3.0)
    tables = tables_of(tmp_path, label, fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == f"0 KiB free in {folder}"
    after = tables["task"][tables["task"].t3_ns > hit.healed_ns]
    assert len(after) > 10


def test_a_killed_submitter_leaves_its_tasks_to_the_workers(tmp_path: Path) -> None:
    """The tasks that were acknowledged before the kill are executed."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.SUBMITTER_KILL), deadline_s=10.0)
    assert last_hit(tables).proof == "exit code 137"
    assert set(tables["outcome"].outcome) == {"ok", "refused"}


def test_a_poison_task_kills_who_executes_it(tmp_path: Path) -> None:
    """The child ends, and the worker goes on with the other tasks."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.POISON))
    assert last_hit(tables).task_ids
    assert lost(tables) == interrupted(tables)


def test_an_idle_container_is_killed(tmp_path: Path) -> None:
    """A process is killed that executes nothing, and no task is lost with it."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.IDLE_WORKER_KILL))
    assert last_hit(tables).activity == "idle"
    assert interrupted(tables) == set()


def test_a_killed_scheduler_is_restarted(tmp_path: Path) -> None:
    """Jobs fire again after it."""
    arrival, fault = Periodic(1, 20, every_s=1.0), of_kind(FaultKind.SCHEDULER_KILL)
    spec = spec_of("celery-beat", arrival=arrival, fault=fault, provider="compose")
    result = run(tmp_path, spec)
    assert left_of(os.getpid()) == []
    hit = last_hit(dict(result.tables))
    assert hit.proof == "State.ExitCode 137"
    tasks = result.tables["task"]
    assert (tasks.t3_ns > hit.restarted_ns).any()
