"""Delays the packets of a server for a while."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection

# The longer round trip: that of two data centres of one region.
DELAY_MS = 2.0


class NetworkSlow(Injection):
    """Delays each packet of a server by half of `DELAY_MS`, in each direction."""

    kind = FaultKind.NETWORK_SLOW
    is_gradual = True

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Delay the packets of the target."""
        return cluster.slow(target.part, DELAY_MS)

    def heal(self, cluster: Cluster, target: Target) -> str:
        """Let the packets of the target pass at once."""
        return f"healed: {cluster.unslow(target.part)}"


INJECTION = NetworkSlow()
