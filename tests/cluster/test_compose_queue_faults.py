"""Tests kills in containers on dramatiq, procrastinate and Django's tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.faults import FaultKind, of_kind
from lab.core.model import Burst
from tests.cluster.test_compose_faults import last_hit, tables_of
from tests.factories.fault_trials import LONG, goes_on, interrupted, lost

pytestmark = [pytest.mark.cluster, pytest.mark.calm, pytest.mark.usefixtures("containers")]


@pytest.mark.parametrize("label", ["procrastinate", "django-tasks[database+postgres]"])
def test_a_killed_container_leaves_its_rows_running(label: str, tmp_path: Path) -> None:
    """Both mark a row before they run it, and by default nothing changes that."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.WORKER_KILL), 6.0, **LONG)
    hit = last_hit(tables)
    assert (hit.activity, hit.proof) == ("executing", "State.ExitCode 137")
    outcomes = tables["outcome"].set_index("task_id").outcome
    assert {outcomes[task_id] for task_id in interrupted(tables)} == {"stuck"}


def test_rabbitmq_delivers_again_what_a_killed_container_executed(tmp_path: Path) -> None:
    """It does so when the connection ends, and no task is lost."""
    label, fault = "dramatiq[processes+rabbitmq]@safe", of_kind(FaultKind.WORKER_KILL)
    tables = tables_of(tmp_path, label, fault, 30.0, **LONG)
    assert interrupted(tables)
    assert lost(tables) == set()
    again = tables["task"][tables["task"].attempt_no == 2]
    assert interrupted(tables) <= {*again.task_id}


def test_dramatiq_goes_on_with_what_rabbitmq_had_confirmed(tmp_path: Path) -> None:
    """All tasks wait in the server when it is killed, and its restart takes some seconds.

    Tasks that are sent meanwhile would be refused: a submit call tries six times without a pause.
    """
    label, fault = "dramatiq[processes+rabbitmq]@safe", of_kind(FaultKind.BROKER_KILL)
    tables = tables_of(tmp_path, label, fault, 60.0, arrival=Burst(400))
    last_hit(tables)
    assert goes_on(tables)
    assert lost(tables) == set()
