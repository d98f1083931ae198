"""Defines what a provider can do to a running cluster: the hooks of the faults.

A provider implements the hooks of the kinds in its `faults`; the others raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NoReturn, Protocol

from lab.core.errors import ClusterError
from lab.core.faults import FaultKind, Role, Target

BY_SIGNALS = frozenset(
    {
        FaultKind.CHILD_KILL,
        FaultKind.WORKER_KILL,
        FaultKind.IDLE_WORKER_KILL,
        FaultKind.WORKER_TERM,
        FaultKind.WORKER_PAUSE,
        FaultKind.BROKER_KILL,
        FaultKind.BROKER_PAUSE,
        FaultKind.SUBMITTER_KILL,
        FaultKind.SCHEDULER_KILL,
    }
)
"""The kinds that need no other hooks than `targets`, `kill`, `terminate`, `pause` and `resume`."""


class WriterView(Protocol):
    """A process that writes a ledger, with its unfinished tasks."""

    @property
    def node(self) -> int:
        """Return its node."""

    @property
    def slot(self) -> int:
        """Return its slot."""

    @property
    def pid(self) -> int:
        """Return its process id, in its own process namespace."""

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Return the tasks that it has started and not finished."""


class LedgerView(Protocol):
    """The writers of a trial's ledger."""

    def count(self) -> int:
        """Read the new records."""

    def writers(self) -> Iterable[WriterView]:
        """Return the writers at the last `count`."""


class FaultHooks:
    """The hooks by which a fault hits the parts of a cluster, and heals them.

    Process ids are those of the part's own process namespace, as in the header of its ledger. A
    proof is a text from outside the part: ``exit code -9``, ``state T in /proc/PID/stat``. `down`,
    the reaper and `lab clean` undo everything, also after a SIGKILL of the lab.

    Attributes:
        faults: The kinds that the provider can do; others are skipped with a reason.
        supervised: Whether the end of a worker, scheduler or server is not a failure of the
            trial. The fault injector sets it before the first hit; from then on it restarts the
            `dead_parts`.
        struck_ns: When the last hit took effect, ns of CLOCK_MONOTONIC: the instant of the signal,
            as near as the provider knows it.
    """

    faults: ClassVar[frozenset[FaultKind]] = frozenset()
    supervised: bool = False
    struck_ns: int = 0

    @classmethod
    def fault_lack(cls, kind: FaultKind) -> str:
        """Return in a clause why this provider cannot do a kind of fault; empty if it can."""
        if kind in cls.faults or kind.role is None:  # a task needs no hook
            return ""
        if kind.role is Role.HOST:
            return "it needs several hosts (--provider swarm)"
        return "it has no hook for it"

    def targets(self, role: Role) -> Sequence[Target]:
        """Return the running processes of a role.

        The processes of this lab are never among them.
        """
        self._cannot(f"list targets of role {role}")

    def pids_of(self, target: Target) -> set[int | None]:
        """Return the process ids of a target: of a worker also its children; None: any there."""
        if target.role is Role.CHILD:
            return {target.pid}
        children = self.targets(Role.CHILD)
        return {target.pid, *(child.pid for child in children if child.part == target.part)}

    def nodes_of(self, target: Target) -> set[int | None]:
        """Return the nodes in whose ledgers a target writes; None: any."""
        return {target.node}

    def open_ledger(self, tasks: range) -> LedgerView | None:  # noqa: ARG002 (it needs no view)
        """Return a view of the ledger for some tasks; None: its folder is on this machine."""
        return None

    def fetch_records(self) -> None:
        """Copy the records so far into the folder of the trial, if they are not there."""

    def kill(self, target: Target) -> str:
        """Kill a target by SIGKILL, and return the proof of its end.

        A worker is killed with all its children; a child alone.

        Raises:
            ClusterError: The target has ended before.
        """
        self._cannot(f"kill {target}")

    def terminate(self, target: Target, grace_s: float) -> str:
        """Send SIGTERM, and SIGKILL after `grace_s` seconds; return the proof of the end."""
        self._cannot(f"terminate {target} within {grace_s:g} s")

    def pause(self, target: Target) -> str:
        """Stop a target by SIGSTOP, a worker with its children; return the proof."""
        self._cannot(f"pause {target}")

    def resume(self, target: Target) -> str:
        """Continue a target that `pause` stopped, and return the proof."""
        self._cannot(f"resume {target}")

    def dead_parts(self) -> Sequence[str]:
        """Return the workers, schedulers and servers that have ended, servers first."""
        return ()

    def restart(self, part: str) -> None:
        """Start a part that has ended again, with the command, port and data folder as before.

        Raises:
            ClusterError: It did not start.
        """
        self._cannot(f"restart {part}")

    def cut(self, part: str) -> str:
        """Drop all packets of a part without closing its connections, and return the proof."""
        self._cannot(f"cut the network of {part}")

    def reconnect(self, part: str) -> str:
        """Undo `cut`, and return the proof."""
        self._cannot(f"reconnect {part}")

    def slow(self, part: str, ms: float) -> str:
        """Delay the packets of a part so that a round trip takes `ms` longer.

        Return the proof, which is the measured round trip before and after it.
        """
        self._cannot(f"slow the network of {part} by {ms:g} ms")

    def unslow(self, part: str) -> str:
        """Undo `slow`, and return the proof."""
        self._cannot(f"end the delay of {part}")

    def step_clock(self, target: Target, step_s: float) -> str:
        """Set the wall clock of a target to the true one plus `step_s`; return the proof.

        The monotonic clock of the target, which the ledger reads, stays true.

        Raises:
            ClusterError: The target does not read that clock.
        """
        self._cannot(f"step the clock of {target} by {step_s:+g} s")

    def fill_disk(self, part: str) -> str:
        """Fill the disk of a server, and return the proof."""
        self._cannot(f"fill the disk of {part}")

    def lose_power(self, target: Target) -> str:
        """Kill a server, and forget its writes that were not synced; return the proof of both."""
        self._cannot(f"cut the power of {target}")

    def lose_host(self, target: Target) -> str:
        """Take a host of workers out of the cluster for the rest of the trial; return the proof.

        No packet leaves it from one instant on, so that no peer sees a connection end; then all
        that ran on it is killed. Its records are not handed over.
        """
        self._cannot(f"lose the host {target}")

    def free_disk(self, part: str) -> str:
        """Undo `fill_disk`, and return the proof."""
        self._cannot(f"free the disk of {part}")

    def _cannot(self, action: str) -> NoReturn:
        raise ClusterError(f"{type(self).__name__} cannot {action}.")
