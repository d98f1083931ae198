"""Ends a trial whose driver was killed on purpose: waits for its tasks, completes its status."""

from __future__ import annotations

import json
import time
from pathlib import Path

from lab.core.faults import FaultKind
from lab.core.model import ClientCrash, Status
from lab.core.provider import Cluster
from lab.planning.phases import Phase
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import CompletionCounter, intents
from lab.results.schema import FaultRow
from lab.worker.ledger import ACCEPTED

LOOK_S = 0.25
# Tasks whose submit call was cut short may still be executed; they are not counted as due.
SETTLE_S = 2.0


def is_expected(cluster: Cluster, hits: list[FaultRow]) -> bool:
    """Return whether the driver was to be killed: by its arrival, or by a hit of the fault."""
    spec = cluster.site.spec
    is_hit = any(row.fault == FaultKind.SUBMITTER_KILL and row.status == "hit" for row in hits)
    return isinstance(spec.arrival, ClientCrash) or is_hit


def conclude(cluster: Cluster) -> str:
    """Wait until the acknowledged tasks have finished, and write the end into `status.json`.

    Returns:
        Why a part of the cluster ended meanwhile; empty if none did.
    """
    site = cluster.site
    deadline = time.monotonic() + site.spec.deadline_s
    # In containers the journal is in a volume until then.
    cluster.fetch_records()
    due = _acknowledged(site.folder / "intents.bin")
    tasks = Phase.MEASURE.ids
    watcher = cluster.open_ledger(tasks) or CompletionCounter(site.ledger, tasks)
    while watcher.count() < due and time.monotonic() < deadline:
        if reason := cluster.failure():
            return reason
        time.sleep(LOOK_S)
    time.sleep(SETTLE_S)
    status = read_status(site.folder) | {"status": Status.OK, "t_end_ns": time.monotonic_ns()}
    cluster.write_record("status.json", json.dumps(status).encode())
    return ""


def _acknowledged(journal: Path) -> int:
    """Count the tasks of the window that the system had acknowledged."""
    _, offered = intents(journal)
    is_due = (
        intent.phase == Phase.MEASURE.number and intent.acknowledged == ACCEPTED
        for intent in offered
    )
    return sum(is_due)
