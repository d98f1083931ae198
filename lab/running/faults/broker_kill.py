"""Kills the server by SIGKILL; the lab starts it again with its data and its port."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class BrokerKill(Injection):
    """Kills the server. What it had written survives in the page cache; see `power-loss`."""

    kind = FaultKind.BROKER_KILL

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


INJECTION = BrokerKill()
