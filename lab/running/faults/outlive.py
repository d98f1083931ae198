"""Lets a task take longer than the system waits before it delivers it again."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import TaskFault


class Outlive(TaskFault):
    """Lets a task take longer than the system waits before it delivers it again."""

    kind = FaultKind.OUTLIVE


INJECTION = Outlive()
