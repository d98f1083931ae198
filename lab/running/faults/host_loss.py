"""Takes a host of workers out of the cluster, as a failure of its power does."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class HostLoss(Injection):
    """Loses a host that executes a task: it falls silent, and does not return."""

    kind = FaultKind.HOST_LOSS
    wanted = Activity.EXECUTING

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Lose the target."""
        return cluster.lose_host(target)


INJECTION = HostLoss()
