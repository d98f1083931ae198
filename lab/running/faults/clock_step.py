"""Lets the wall clock of a scheduler or worker jump, and jump back after a while."""

from __future__ import annotations

from collections.abc import Sequence

from lab.core.faults import Fault, FaultKind, Role, Target
from lab.core.provider import Cluster
from lab.running.injection import Injection


class ClockStep(Injection):
    """Steps the wall clock; the monotonic clock, which the ledger reads, stays true."""

    kind = FaultKind.CLOCK_STEP
    is_gradual = True

    def targets(self, cluster: Cluster) -> Sequence[Target]:
        """Return the scheduler; without one the workers, or the driver that executes the tasks."""
        roles = (Role.SCHEDULER, Role.WORKER, Role.DRIVER)
        return next(filter(None, map(cluster.targets, roles)), ())

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:
        """Step the clock of the target."""
        return cluster.step_clock(target, fault.step_s)

    def heal(self, cluster: Cluster, target: Target) -> str:
        """Set the clock of the target right."""
        return f"healed: {cluster.step_clock(target, 0.0)}"


INJECTION = ClockStep()
