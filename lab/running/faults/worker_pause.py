"""Stops a worker with its children by SIGSTOP, and continues it after a while."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Activity, Pause


class WorkerPause(Pause):
    """Stops a worker that executes a task; its connections stay open."""

    kind = FaultKind.WORKER_PAUSE
    wanted = Activity.EXECUTING


INJECTION = WorkerPause()
