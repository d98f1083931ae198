"""Kills the process that starts the jobs, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class SchedulerKill(Injection):
    """Kills the scheduler; firings that were due until its restart may be missed."""

    kind = FaultKind.SCHEDULER_KILL

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


INJECTION = SchedulerKill()
