"""Kills the process that starts the jobs, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Kill


class SchedulerKill(Kill):
    """Kills the scheduler; firings that were due until its restart may be missed."""

    kind = FaultKind.SCHEDULER_KILL


INJECTION = SchedulerKill()
