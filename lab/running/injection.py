"""Defines the contract of a fault: whom it hits, how, and how it is healed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from lab.core.errors import ClusterError
from lab.core.faults import Fault, FaultKind, Target
from lab.core.provider import Cluster


class Activity(StrEnum):
    """Names the activity of a target when a fault hit it, from the ledger.

    A worker that fetches or has prefetched tasks and executes none is idle: only its memory, or
    keys of its broker that are no documented interface, would show the difference.
    """

    EXECUTING = "executing"
    IDLE = "idle"
    UNKNOWN = "unknown"  # a server, or a process that executes no tasks


class Injection(ABC):
    """One kind of fault.

    Attributes:
        kind: The kind, with the role of its targets.
        wanted: The activity that a target must have; None: any.
        is_gradual: Whether the target goes on after the hit, so that its activity is read before.
    """

    kind: ClassVar[FaultKind]
    wanted: ClassVar[Activity | None] = None
    is_gradual: ClassVar[bool] = False

    def targets(self, cluster: Cluster) -> Sequence[Target]:
        """Return the processes that the fault may hit now."""
        return cluster.targets(self.kind.role) if self.kind.role is not None else ()

    @abstractmethod
    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:
        """Hit a target and return the proof, a text from outside the target.

        Raises:
            ClusterError: It was not hit.
        """

    def heal(self, cluster: Cluster, target: Target) -> str | None:  # noqa: ARG002
        """End the fault `Fault.heal_s` seconds after the hit; the lab restarts ended parts.

        Return the proof, if the proof of the hit needs it.

        Raises:
            ClusterError: The fault still lasts.
        """
        return None


class Kill(Injection):
    """A fault that ends its target by SIGKILL."""

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Kill the target."""
        return cluster.kill(target)


class Pause(Injection):
    """A fault that stops its target by SIGSTOP, and continues it after a while."""

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Stop the target."""
        return cluster.pause(target)

    def heal(self, cluster: Cluster, target: Target) -> None:
        """Continue the target."""
        cluster.resume(target)


class TaskFault(Injection):
    """A fault that a task of the window causes: see `lab.planning.fault_tasks`."""

    def inject(self, cluster: Cluster, target: Target, fault: Fault) -> str:  # noqa: ARG002
        """Refuse: the task itself is the hit.

        Raises:
            ClusterError: Always.
        """
        raise ClusterError(f"{self.kind} is a task of the window: the lab does not hit {target}.")
