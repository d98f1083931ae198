"""Does nothing: the control, in which a fault is prepared and no process is hit."""

from __future__ import annotations

from collections.abc import Sequence

from lab.core.faults import Fault, FaultKind, Role, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class Control(Injection):
    """Looks for a target as the other faults do, and does nothing to it."""

    kind = FaultKind.NONE
    is_gradual = True

    def targets(self, cluster: Cluster) -> Sequence[Target]:
        """Return the workers, or the driver of a backend that executes tasks in it."""
        return cluster.targets(Role.WORKER) or cluster.targets(Role.DRIVER)

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Do nothing to the target."""
        return "control: nothing was done"


INJECTION = Control()
