"""Lets a task use more memory than its process may have."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import TaskFault


class WorkerOom(TaskFault):
    """Lets a task use more memory than its process may have."""

    kind = FaultKind.WORKER_OOM


INJECTION = WorkerOom()
