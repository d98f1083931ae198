"""Tests what is known of the tasks of a host that a fault has taken away with its records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.core.faults import FaultKind, of_kind
from lab.core.model import Topology
from lab.core.outcomes import TaskOutcome
from lab.running.trial import TrialObservation
from lab.validation.lost_hosts import proven
from tests.factories.scripted_system import ScriptedSystem
from tests.factories.trials import spec_of


def of_loss(folder: Path, role: str, status: dict[str, Any]) -> frozenset[int]:
    """Return the proven tasks of a trial whose host `n2`, with nodes 1 and 2, leaves after 2 s."""
    system = ScriptedSystem()
    for task_id, at_s in ((1, 1.0), (2, 1.5), (3, 1.999), (4, 2.001)):
        system.submit(task_id, at_s)
    system.hit(2.0, [2])
    hits = [replace(row, role=role, target="n2") for row in system.faults]
    spec = spec_of("celery", topology=Topology(3, 1, 1), fault=of_kind(FaultKind.HOST_LOSS))
    # No placement: the provider would ask its engines for the hosts.
    nowhere: Any = None
    outcome = TrialObservation(spec, 1, folder, nowhere, 0, "", hosts="n1|n2|n2", hits=hits)
    return proven(outcome, status, pd.DataFrame(system.submits))


def test_what_it_executed_and_what_was_sent_later_is_proven(tmp_path: Path) -> None:
    """Of what was sent before, an execution may have ended there."""
    assert of_loss(tmp_path, "host", {"incomplete": [1]}) == {2, 4}


@pytest.mark.parametrize(
    ("role", "incomplete"), [("host", [0, 1]), ("host", [0]), ("worker", [1]), ("worker", [])]
)
def test_nothing_is_proven_if_other_records_are_missing(
    role: str, incomplete: list[int], tmp_path: Path
) -> None:
    """Those of a host that no fault has taken away."""
    assert of_loss(tmp_path, role, {"incomplete": incomplete}) == set()


@pytest.mark.parametrize(
    ("role", "outcome"), [("host", TaskOutcome.RE_EXECUTED), ("worker", TaskOutcome.OK)]
)
def test_an_execution_whose_record_is_lost_is_known_from_the_hit(
    role: str, outcome: TaskOutcome
) -> None:
    """A lost host takes the record of the start along; that of another target would be there."""
    system = ScriptedSystem(horizon_s=5.0, started_horizon_s=5.0)
    system.submit(1, 1.0)
    system.hit(2.0, [1])
    system.faults = [replace(row, role=role) for row in system.faults]
    system.execute(1, 6.0)
    table, _ = system.judged(20.0)
    assert table["outcome"].tolist() == [outcome]
    delays_ns = table["redelivery_ns"].dropna().tolist()
    assert delays_ns == [4_000_000_000] * (role == "host")


def test_a_task_that_a_lost_host_executed_needs_no_record_to_be_lost() -> None:
    """It counts as started, so that it is lost at once if it was acknowledged early."""
    system = ScriptedSystem(horizon_s=3_600.0)
    system.submit(1, 1.0)
    system.hit(2.0, [1])
    assert system.outcomes(10.0) == {1: TaskOutcome.UNDECIDED}
    system.faults = [replace(row, role="host") for row in system.faults]
    assert system.outcomes(10.0) == {1: TaskOutcome.LOST_SILENT}
