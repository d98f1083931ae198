"""Kills the child process that executes a task, by SIGKILL; its worker remains."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Activity, Kill


class ChildKill(Kill):
    """Kills the child process that executes a task, by SIGKILL; its worker remains."""

    kind = FaultKind.CHILD_KILL
    wanted = Activity.EXECUTING


INJECTION = ChildKill()
