"""Stops a worker with its children by SIGSTOP, and continues it after a while."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class WorkerPause(Injection):
    """Stops a worker that executes a task; its connections stay open."""

    kind = FaultKind.WORKER_PAUSE
    wanted = Activity.EXECUTING

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Stop the target."""
        return cluster.pause(target)

    def heal(self, cluster: Cluster, target: Target) -> None:
        """Continue the target."""
        cluster.resume(target)


INJECTION = WorkerPause()
