"""Defines the faults of a trial as data: what fails, how often, and when it is repaired.

Standard library only. `lab/running/faults/` has one file for each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

# Seconds from the end of a part until a supervisor has noticed it.
RESTART_S = 1.0
# A task is lost only if the drain lasted this many redelivery horizons (METHOD M27).
HORIZONS = 1.5


class Role(StrEnum):
    """The role of a process that a fault hits."""

    WORKER = "worker"  # a process of a worker command
    CHILD = "child"  # a child of a worker, or of the driver
    BROKER = "broker"
    SCHEDULER = "scheduler"
    DRIVER = "driver"
    HOST = "host"  # of workers: all that runs on it


class FaultKind(StrEnum):
    """Names the failure, the role that it hits, and how long it lasts by default.

    - `role`: None: it hits no process by itself.
    - `heal_s`, `grace_s`, `step_s`: the defaults of these fields of `Fault`.
    """

    role: Role | None
    heal_s: float
    grace_s: float
    step_s: float

    def __new__(
        cls,
        text: str,
        role: Role | None = None,
        heal_s: float = 0.0,
        grace_s: float = 0.0,
        step_s: float = 0.0,
    ) -> Self:
        """Create a kind; its value is the text."""
        kind = str.__new__(cls, text)
        kind._value_ = text
        kind.role, kind.heal_s, kind.grace_s, kind.step_s = role, heal_s, grace_s, step_s
        return kind

    @property
    def restart_s(self) -> float | None:
        """The default of `Fault.restart_s`: a lost host does not return."""
        return None if self.role is Role.HOST else RESTART_S

    # The control: everything is prepared, and nothing fails.
    NONE = "none"
    # SIGKILL of the process that executes a task; its worker remains.
    CHILD_KILL = "child-kill", Role.CHILD
    # SIGKILL of a whole worker, with its children.
    WORKER_KILL = "worker-kill", Role.WORKER
    # SIGKILL of a process that executes nothing.
    IDLE_WORKER_KILL = "idle-worker-kill", Role.CHILD
    # SIGTERM of a worker, SIGKILL after a grace period.
    WORKER_TERM = "worker-term", Role.WORKER, 0.0, 10.0
    # SIGSTOP of a worker, then SIGCONT.
    WORKER_PAUSE = "worker-pause", Role.WORKER, 10.0
    # A task that needs more memory than its process may have.
    WORKER_OOM = "worker-oom"
    # A task that kills each process that executes it.
    POISON = "poison"
    # SIGKILL of the server; the page cache survives.
    BROKER_KILL = "broker-kill", Role.BROKER
    # SIGSTOP of the server, then SIGCONT.
    BROKER_PAUSE = "broker-pause", Role.BROKER, 10.0
    # No packet passes between a worker and the server.
    NETWORK_CUT = "network-cut", Role.WORKER, 5.0
    # Every packet of the server is delayed.
    NETWORK_SLOW = "network-slow", Role.BROKER, 5.0
    # The server cannot write.
    BROKER_DISK_FULL = "broker-disk-full", Role.BROKER, 5.0
    # SIGKILL of the driver while it submits.
    SUBMITTER_KILL = "submitter-kill", Role.DRIVER
    # SIGKILL of the process that starts the jobs.
    SCHEDULER_KILL = "scheduler-kill", Role.SCHEDULER
    # The wall clock of a scheduler or worker jumps; its monotonic clock does not.
    CLOCK_STEP = "clock-step", Role.WORKER, 5.0, 0.0, 3600.0
    # A task that takes longer than the system waits for it.
    OUTLIVE = "outlive"
    # The server's unsynced writes are lost.
    POWER_LOSS = "power-loss", Role.BROKER
    # A host of workers falls silent, and does not return.
    HOST_LOSS = "host-loss", Role.HOST


ENDED_WORKERS = (
    FaultKind.CHILD_KILL,
    FaultKind.WORKER_KILL,
    FaultKind.IDLE_WORKER_KILL,
    FaultKind.WORKER_TERM,
    FaultKind.WORKER_OOM,
)
"""The faults that end a process of a worker."""

OF_WORKERS = (*ENDED_WORKERS, FaultKind.WORKER_PAUSE, FaultKind.NETWORK_CUT)
"""The faults that end a process of a worker, or keep it from the server."""


class Persistence(StrEnum):
    """Names the data that Redis writes to its disk, and when."""

    NONE = "none"
    RDB = "rdb"
    AOF_EVERYSEC = "aof-everysec"
    AOF_ALWAYS = "aof-always"


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
      would; None: never, as after the loss of a host.
    - `persistence`: a `Persistence` of Redis; empty: that of the lab's servers.
    - `step_s`: seconds by which a wall clock jumps; negative: back.
    """

    kind: FaultKind
    hits: int = 1
    heal_s: float = 0.0
    grace_s: float = 0.0
    restart_s: float | None = RESTART_S
    persistence: str = ""
    step_s: float = 0.0

    @property
    def pauses_s(self) -> float:
        """The seconds for which one hit may keep its target from work."""
        return self.heal_s + self.grace_s + (self.restart_s or 0.0)

    @property
    def text(self) -> str:
        """The kind, then the factors that are not its defaults, separated by colons."""
        factors = []
        if self.heal_s != self.kind.heal_s:
            factors.append(f"{self.heal_s:g}s")
        if self.grace_s != self.kind.grace_s:
            factors.append(f"grace-{self.grace_s:g}s")
        if self.restart_s != self.kind.restart_s:
            restart_s = self.restart_s
            factors.append("no-restart" if restart_s is None else f"restart-{restart_s:g}s")
        if self.persistence:
            factors.append(self.persistence)
        if self.step_s != self.kind.step_s:
            factors.append(f"{self.step_s:+g}s")
        return ":".join([self.kind, *factors])


def of_kind(kind: FaultKind, hits: int = 1) -> Fault:
    """Return the fault of a kind with its default factors."""
    return Fault(kind, hits, kind.heal_s, kind.grace_s, kind.restart_s, step_s=kind.step_s)
