"""Runs trials with a fault on real systems, and reads what became of their tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lab.core.faults import Fault, FaultKind
from lab.core.model import Arrival, Burst, Paced, Status, Topology
from lab.planning import faults
from tests.factories.trials import run, spec_of

PACED = Paced(1, 10.0)
TWO = Topology(1, 2, 2)
# One task for each worker, which runs from the start of the window to its end. The hit is in the
# first half, so it meets tasks that execute, and none ends between the choice of the target and it.
LONG: Mapping[str, Any] = {"arrival": Burst(2), "size": 4_000_000}
# Seconds of a window in which the rates before and after the hit are not compared.
WINDOW_S = 7.0
# Clients need up to ten seconds until they connect to a server that was restarted.
RECONNECTING = {FaultKind.BROKER_KILL, FaultKind.POWER_LOSS}


def tables_of(
    folder: Path,
    label: str,
    fault: Fault,
    deadline_s: float = 3.0,
    arrival: Arrival = PACED,
    topology: Topology = TWO,
    size: int = 50_000,
    **changes: Any,
) -> dict[str, pd.DataFrame]:
    """Run one trial with a fault and return its tables.

    By default ten tasks of 50 ms are offered per second, to two workers. A paced arrival is as long
    as one hit needs.
    """
    # A warm-up of long tasks would be as long as the window, and the boot phase has short ones.
    changes |= {"fault": fault, "deadline_s": deadline_s, "warmup_tasks": 5 if size < 1e6 else 0}
    spec = spec_of(label, "io", _fitted(arrival, fault), topology, size, **changes)
    result = run(folder, spec)
    assert result.row.status == Status.OK, result.row.reason
    return {**result.tables}


def _fitted(arrival: Arrival, fault: Fault) -> Arrival:
    if isinstance(arrival, Paced) and fault.kind not in RECONNECTING:
        return replace(arrival, n_tasks=round((WINDOW_S + fault.heal_s) * arrival.rate_hz))
    return faults.fitted(arrival, fault)


def lost(tables: dict[str, pd.DataFrame]) -> set[int]:
    """Return the tasks that never finished."""
    outcomes = tables["outcome"]
    return {*outcomes[outcomes.completions == 0].task_id}


def interrupted(tables: dict[str, pd.DataFrame]) -> set[int]:
    """Return the tasks that a hit interrupted."""
    return {int(task_id) for text in tables["fault"].task_ids for task_id in text.split()}


def goes_on(tables: dict[str, pd.DataFrame]) -> bool:
    """Return whether more than 10 tasks started after the restart of the last hit."""
    restarted_ns = tables["fault"].iloc[-1].restarted_ns
    return int((tables["task"].t3_ns > restarted_ns).sum()) > 10
