"""Kills the child process that executes a task, by SIGKILL; its worker remains."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class ChildKill(Injection):
    """Kills the child process that executes a task, by SIGKILL; its worker remains."""

    kind = FaultKind.CHILD_KILL
    wanted = Activity.EXECUTING

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


INJECTION = ChildKill()
