"""Cuts a worker off from the network, and connects it again after a while."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Injection


class NetworkCut(Injection):
    """Lets no packet of a worker pass; both ends of its connections stay open."""

    kind = FaultKind.NETWORK_CUT
    wanted = Activity.EXECUTING
    # The worker goes on with its task, whose record may be complete before it is read.
    is_gradual = True

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Cut the target off."""
        return cluster.cut(target.part)

    def heal(self, cluster: Cluster, target: Target) -> None:
        """Connect the target again."""
        cluster.reconnect(target.part)


INJECTION = NetworkCut()
