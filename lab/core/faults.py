"""Defines the faults of a trial as data: what fails, how often, and when it is repaired.

Standard library only. `lab/running/faults/` has one file for each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """Names the failure."""

    NONE = "none"  # the control: everything is prepared, and nothing fails
    CHILD_KILL = "child-kill"  # SIGKILL of the process that executes a task
    WORKER_KILL = "worker-kill"  # SIGKILL of a whole worker, with its children
    IDLE_WORKER_KILL = "idle-worker-kill"  # SIGKILL of a process that executes nothing
    WORKER_TERM = "worker-term"  # SIGTERM of a worker, SIGKILL after a grace period
    WORKER_PAUSE = "worker-pause"  # SIGSTOP of a worker, then SIGCONT
    WORKER_OOM = "worker-oom"  # a task that needs more memory than its process may have
    POISON = "poison"  # a task that kills each process that executes it
    BROKER_KILL = "broker-kill"  # SIGKILL of the server; the page cache survives
    BROKER_PAUSE = "broker-pause"  # SIGSTOP of the server, then SIGCONT
    NETWORK_CUT = "network-cut"  # no packet passes between a worker and the server
    NETWORK_SLOW = "network-slow"  # every packet is delayed
    BROKER_DISK_FULL = "broker-disk-full"  # the server cannot write
    SUBMITTER_KILL = "submitter-kill"  # SIGKILL of the driver while it submits
    SCHEDULER_KILL = "scheduler-kill"  # SIGKILL of the process that starts the jobs
    CLOCK_STEP = "clock-step"  # the wall clock jumps; the monotonic clock does not
    OUTLIVE = "outlive"  # a task that takes longer than the system waits for it
    POWER_LOSS = "power-loss"  # the server's unsynced writes are lost


class Persistence(StrEnum):
    """Names the data that Redis writes to its disk, and when."""

    NONE = "none"
    RDB = "rdb"
    AOF_EVERYSEC = "aof-everysec"
    AOF_ALWAYS = "aof-always"


class Role(StrEnum):
    """The role of a process that a fault hits."""

    WORKER = "worker"  # a process of a worker command
    CHILD = "child"  # a child of a worker, or of the driver
    BROKER = "broker"
    SCHEDULER = "scheduler"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class Target:
    """A process of a cluster that a fault may hit.

    - `part`: the name of the process or container, by which the provider restarts it.
    - `pid`: in the process namespace of the part, as in the header of its ledger; None: unknown.
    - `node`, `slot`: those in the header of the ledgers that its processes write; None: any.
    """

    role: Role
    part: str
    pid: int | None
    node: int | None = None
    slot: int | None = None

    def __str__(self) -> str:
        """Return the part and the process id."""
        return self.part if self.pid is None else f"{self.part} pid {self.pid}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A deliberate failure in the window of a trial.

    - `hits`: how often it happens in a window.
    - `heal_s`: seconds until a pause, a cut or a full disk ends; 0 for a fault that just happens.
    - `grace_s`: seconds between SIGTERM and SIGKILL.
    - `restart_s`: the lab starts a part again this many seconds after its end, as a supervisor
      would; None: never.
    - `persistence`: a `Persistence` of Redis; empty: that of the lab's servers.
    """

    kind: FaultKind
    hits: int = 1
    heal_s: float = 0.0
    grace_s: float = 0.0
    restart_s: float | None = 1.0
    persistence: str = ""

    @property
    def text(self) -> str:
        """The kind, then the factors that differ from the kind's own, separated by colons."""
        usual, factors = of_kind(self.kind), []
        if self.heal_s != usual.heal_s:
            factors.append(f"{self.heal_s:g}s")
        if self.grace_s != usual.grace_s:
            factors.append(f"grace-{self.grace_s:g}s")
        if self.restart_s is None:
            factors.append("no-restart")
        elif self.restart_s != usual.restart_s:
            factors.append(f"restart-{self.restart_s:g}s")
        if self.persistence:
            factors.append(self.persistence)
        return ":".join([self.kind, *factors])


# The role that each kind hits; a kind that is missing here hits no process by itself.
ROLES: Mapping[FaultKind, Role] = {
    FaultKind.CHILD_KILL: Role.CHILD,
    FaultKind.WORKER_KILL: Role.WORKER,
    FaultKind.IDLE_WORKER_KILL: Role.CHILD,
    FaultKind.WORKER_TERM: Role.WORKER,
    FaultKind.WORKER_PAUSE: Role.WORKER,
    FaultKind.BROKER_KILL: Role.BROKER,
    FaultKind.BROKER_PAUSE: Role.BROKER,
    FaultKind.NETWORK_CUT: Role.WORKER,
    FaultKind.NETWORK_SLOW: Role.BROKER,
    FaultKind.BROKER_DISK_FULL: Role.BROKER,
    FaultKind.SUBMITTER_KILL: Role.DRIVER,
    FaultKind.SCHEDULER_KILL: Role.SCHEDULER,
    FaultKind.CLOCK_STEP: Role.WORKER,
    FaultKind.POWER_LOSS: Role.BROKER,
}
# The factors of a kind where they differ from those of `Fault`.
_USUAL: Mapping[FaultKind, Mapping[str, Any]] = {
    FaultKind.WORKER_TERM: {"grace_s": 10.0},
    FaultKind.WORKER_PAUSE: {"heal_s": 10.0},
    FaultKind.BROKER_PAUSE: {"heal_s": 10.0},
    FaultKind.NETWORK_CUT: {"heal_s": 5.0},
    FaultKind.NETWORK_SLOW: {"heal_s": 5.0},
    FaultKind.BROKER_DISK_FULL: {"heal_s": 5.0},
    FaultKind.CLOCK_STEP: {"heal_s": 5.0},
}


def of_kind(kind: FaultKind, hits: int = 1) -> Fault:
    """Return the fault of a kind with its usual factors."""
    return Fault(kind, hits, **_USUAL.get(kind, {}))
