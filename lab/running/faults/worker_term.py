"""Terminates a worker by SIGTERM, and kills it if it still runs after a grace period."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class WorkerTerm(Injection):
    """Terminates a worker that executes a task, as a deployment does."""

    kind = FaultKind.WORKER_TERM
    wanted = Activity.EXECUTING
    # The worker may finish its tasks in the grace period, so they are read before the signal.
    is_gradual = True

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:
        """Terminate the target."""
        return cluster.terminate(target, fault.grace_s)


INJECTION = WorkerTerm()
