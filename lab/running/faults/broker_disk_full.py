"""Fills the disk of the server, and frees it after a while."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class BrokerDiskFull(Injection):
    """Fills the disk of the server; it runs on, as far as it can without writing."""

    kind = FaultKind.BROKER_DISK_FULL
    is_gradual = True

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Fill the disk of the target."""
        return cluster.fill_disk(target.part)

    def heal(self, cluster: Cluster, target: Target) -> None:
        """Free the disk of the target."""
        cluster.free_disk(target.part)


INJECTION = BrokerDiskFull()
