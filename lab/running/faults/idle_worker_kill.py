"""Kills a process that executes tasks while it has none, by SIGKILL."""

from __future__ import annotations

from collections.abc import Sequence

from lab.core.faults import FaultKind, Role, Target
from lab.core.provider import Cluster
from lab.running.injection import Activity, Kill


class IdleWorkerKill(Kill):
    """Kills an idle child that has executed a task before; without such children, a worker."""

    kind = FaultKind.IDLE_WORKER_KILL
    wanted = Activity.IDLE

    def targets(self, cluster: Cluster) -> Sequence[Target]:
        """Return children and workers; a worker whose children execute tasks is not idle."""
        # Both, because a worker without a pool executes tasks itself and has no child.
        return [*cluster.targets(Role.CHILD), *cluster.targets(Role.WORKER)]


INJECTION = IdleWorkerKill()
