"""Kills a whole worker that executes a task, with its children, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class WorkerKill(Injection):
    """Kills a whole worker that executes a task, with its children, by SIGKILL."""

    kind = FaultKind.WORKER_KILL
    wanted = Activity.EXECUTING

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


INJECTION = WorkerKill()
