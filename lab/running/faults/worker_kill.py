"""Kills a whole worker that executes a task, with its children, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Activity, Kill


class WorkerKill(Kill):
    """Kills a whole worker that executes a task, with its children, by SIGKILL."""

    kind = FaultKind.WORKER_KILL
    wanted = Activity.EXECUTING


INJECTION = WorkerKill()
