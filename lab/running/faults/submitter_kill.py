"""Kills the driver while it submits, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class SubmitterKill(Injection):
    """Kills the process that submits; the rest of the window is not offered."""

    kind = FaultKind.SUBMITTER_KILL

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


INJECTION = SubmitterKill()
