"""Runs trials with a fault on real systems, and reads what became of their tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lab.core.faults import Fault
from lab.core.model import Arrival, Paced, Status, Topology
from lab.planning import faults
from tests.factories.trials import run, spec_of

PACED = Paced(1, 10.0)
TWO = Topology(1, 2, 2)


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
    """Run one trial with a fault and return its tables; a window is as long as the hits need.

    By default ten tasks of 50 ms are offered per second, to two workers.
    """
    changes |= {"fault": fault, "deadline_s": deadline_s}
    spec = spec_of(label, "io", faults.fitted(arrival, fault), topology, size, **changes)
    result = run(folder, spec)
    assert result.row.status == Status.OK, result.row.reason
    return {**result.tables}


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
