"""Lets a task kill each process that executes it, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import TaskFault


class Poison(TaskFault):
    """Lets a task kill each process that executes it, by SIGKILL."""

    kind = FaultKind.POISON


INJECTION = Poison()
