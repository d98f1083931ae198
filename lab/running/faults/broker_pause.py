"""Stops the server by SIGSTOP, and continues it after a while."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class BrokerPause(Injection):
    """Stops the server; its connections stay open, and nothing answers."""

    kind = FaultKind.BROKER_PAUSE

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Stop the target."""
        return cluster.pause(target)

    def heal(self, cluster: Cluster, target: Target) -> None:
        """Continue the target."""
        cluster.resume(target)


INJECTION = BrokerPause()
