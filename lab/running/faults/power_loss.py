"""Kills the server, whose disk forgets the writes that were not synced."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class PowerLoss(Injection):
    """Lets the server lose what is only in the page cache, unlike `broker-kill`."""

    kind = FaultKind.POWER_LOSS

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Cut the power of the target."""
        return cluster.lose_power(target)


INJECTION = PowerLoss()
