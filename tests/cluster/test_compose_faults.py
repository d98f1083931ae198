"""Tests faults in containers on real systems: each hit is proved, and nothing of it remains."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Paced, Status, Topology
from lab.planning import faults
from tests.cluster.containers import left_of
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]
PACED = Paced(1, 10.0)


def tables_of(
    folder: Path, label: str, fault: Fault, deadline_s: float = 3.0
) -> dict[str, pd.DataFrame]:
    """Run one trial with a fault, and return its tables; nothing remains in the engine."""
    arrival = faults.fitted(PACED, fault)
    changes = {"fault": fault, "deadline_s": deadline_s, "provider": "compose"}
    spec = spec_of(label, "io", arrival, Topology(1, 2, 2), 50_000, **changes)
    result = run(folder, spec)
    assert left_of(os.getpid()) == []
    assert result.row.status == Status.OK, result.row.reason
    return {**result.tables}


def lost(tables: dict[str, pd.DataFrame]) -> set[int]:
    """Return the tasks that never finished."""
    verdicts = tables["verdict"]
    return {*verdicts[verdicts.completions == 0].task_id}


def interrupted(tables: dict[str, pd.DataFrame]) -> set[int]:
    """Return the tasks that a hit interrupted."""
    return {int(task_id) for text in tables["fault"].task_ids for task_id in text.split()}


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


@pytest.mark.parametrize("label", ["rq", "celery", "multiprocessing"])
def test_a_killed_child_is_replaced(label: str, tmp_path: Path) -> None:
    """The process ends, its worker goes on, and its task is lost by these defaults."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.CHILD_KILL))
    hit = last_hit(tables)
    assert hit.proof.endswith("has ended")
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


def test_a_terminated_worker_finishes_its_tasks(tmp_path: Path) -> None:
    """The signal reaches the worker itself, whose warm shutdown loses nothing."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.WORKER_TERM), deadline_s=10.0)
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
