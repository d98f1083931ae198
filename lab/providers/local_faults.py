"""Lets faults hit the processes of a local cluster, and starts them again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import psutil

from lab.core.errors import ClusterError, LabError
from lab.core.fault_hooks import BY_SIGNALS, FaultHooks
from lab.core.faults import FaultKind, Role, Target
from lab.core.provider import TrialContext
from lab.host import faked_clock, process_marks, processes, programs, wall_clock
from lab.worker import clock_file

DRIVER = "driver"
LOOK_S, WAIT_S = 0.001, 5.0


@dataclass(frozen=True, slots=True)
class LocalPart:
    """One process of the cluster, with its name in messages.

    - `start`: starts its command again, with the same environment and log.
    - `role`: its role as a target of faults; None: it is no target.
    - `node`, `slot`: those of the ledgers that its processes write; None: it writes none.
    """

    name: str
    process: Popen[bytes]
    log: Path
    start: Callable[[], LocalPart] = field(repr=False)
    role: Role | None = None
    node: int | None = None
    slot: int | None = None


class LocalFaults(FaultHooks):
    """The hooks of the faults that signals and a faked clock can cause."""

    faults = BY_SIGNALS | {FaultKind.CLOCK_STEP}
    site: TrialContext
    # The temporary directory of the trial.
    _scratch: Path | None = None
    _services: list[LocalPart]
    _nodes: list[LocalPart]
    _driver: Popen[bytes] | None

    @classmethod
    def fault_lack(cls, kind: FaultKind) -> str:
        """Return why processes of this machine cannot have a fault; empty if they can."""
        if kind is FaultKind.CLOCK_STEP:
            is_lacking = faked_clock.library() is None
            return f"it needs the package {faked_clock.PACKAGE}" if is_lacking else ""
        lack = super().fault_lack(kind)
        is_of_host = kind.role is Role.HOST
        return lack if is_of_host else lack and "it needs containers (--provider compose)"

    def targets(self, role: Role) -> Sequence[Target]:
        """Return the running processes of a role; children are those of workers and driver."""
        if role is Role.DRIVER:
            return [Target(role, DRIVER, process.pid, 0, 0) for process in self._of_driver()[:1]]
        if role is Role.CHILD:
            children = [
                Target(role, part.log.stem, process.pid, part.node, part.slot)
                for part in self._nodes
                for process in processes.tree(part.process.pid)[1:]
            ]
            return children + [Target(role, DRIVER, p.pid, 0, 0) for p in self._of_driver()[1:]]
        return [
            Target(role, part.log.stem, part.process.pid, part.node, part.slot)
            for part in [*self._services, *self._nodes]
            if role in self._roles_of(part) and part.process.poll() is None
        ]

    def _roles_of(self, part: LocalPart) -> tuple[Role | None, ...]:
        is_planner = part.role is Role.WORKER and self.site.schedules_in_workers
        return (part.role, Role.SCHEDULER) if is_planner else (part.role,)

    def kill(self, target: Target) -> str:
        """Kill a process by SIGKILL, a part with all its children; return its exit code."""
        members = self._members(target)
        # Not stopped before: Redis hands a task to a stopped Celery worker, and the kill loses it.
        self.struck_ns = _signal(members, signal.SIGKILL)
        return self._ended(target, members)

    def terminate(self, target: Target, grace_s: float) -> str:
        """Send SIGTERM to the main process of a part, and kill all of it after `grace_s`."""
        members = self._members(target)
        struck_ns = _signal(members[:1], signal.SIGTERM)
        still = processes.await_end(members[:1], grace_s)
        proof = self.kill(target) if still else ""
        # `kill` has set the instant of its SIGKILL, but the hit began with SIGTERM.
        self.struck_ns = struck_ns
        if still:
            return f"still running {grace_s:g} s after SIGTERM; {proof}"
        took_s = (time.monotonic_ns() - struck_ns) / 1e9
        return f"{self._ended(target, members[:1])} {took_s:.3f} s after SIGTERM"

    def pause(self, target: Target) -> str:
        """Stop a process, a part with all its children, and wait until all are in state T."""
        deadline = time.monotonic() + WAIT_S
        # A parent before its children, which are listed again when it has stopped: a process that
        # runs may start more. One that has just started a child by vfork stops when that child
        # has begun its program, so a child that was stopped first would block it forever.
        while running := [p for p in self._members(target) if not _is_stopped(p)]:
            self.struck_ns = _signal(_topmost(running), signal.SIGSTOP)
            if time.monotonic() > deadline:
                raise ClusterError(f"{target} did not stop {WAIT_S:g} s after SIGSTOP.")
            time.sleep(LOOK_S)
        return f"state T in /proc/{target.pid}/stat"

    def resume(self, target: Target) -> str:
        """Continue what `pause` stopped."""
        members = self._members(target)
        _signal(members, signal.SIGCONT)
        return f"SIGCONT to {len(members)} processes"

    def faked_clock(self, part: str) -> dict[str, str]:
        """Return the variables that let a fault step the wall clock of a part; none without one."""
        library = faked_clock.library()
        if library is None or self._scratch is None or not self.site.has_faked_clocks:
            return {}
        file = self._scratch / f"clock-{part}"
        clock_file.require(file)
        return faked_clock.variables(str(library), str(file))

    def step_clock(self, target: Target, step_s: float) -> str:
        """Step the wall clock of all processes of a part."""
        members, variables = self._members(target), self.faked_clock(target.part)
        if not variables:
            raise ClusterError(f"{target} was started without {faked_clock.PACKAGE}.")
        clock_file.set_step(Path(variables[clock_file.FAKED]), step_s)
        self.struck_ns = time.monotonic_ns()
        n_faked = sum(faked_clock.is_faked(process.pid) for process in members)
        command = [sys.executable, "-m", wall_clock.__name__]
        try:
            offsets_ns = programs.output_of(command, WAIT_S, variables=variables)
        except LabError as error:
            raise ClusterError(str(error)) from error
        return faked_clock.proof(step_s, offsets_ns, n_faked)

    def dead_parts(self) -> Sequence[str]:
        """Return the names of the servers, schedulers and workers that have ended."""
        parts = [*self._services, *self._nodes]
        return [part.log.stem for part in parts if part.process.poll() is not None]

    def restart(self, part: str) -> None:
        """Start a part that has ended again."""
        for parts in (self._services, self._nodes):
            for index, old in enumerate(parts):
                if old.log.stem == part:
                    parts[index] = old.start()

    def _of_driver(self) -> list[psutil.Process]:
        return processes.tree(self._driver.pid) if self._driver else []

    def _members(self, target: Target) -> list[psutil.Process]:
        """Return the processes of a target, the main one first.

        Raises:
            ClusterError: It has ended, or does not belong to this trial.
        """
        members = processes.tree(target.pid or 0)
        members = members[:1] if target.role in (Role.CHILD, Role.DRIVER) else members
        if not members or not processes.is_running(members[0]):
            raise ClusterError(f"{target} has ended before.")
        # The kernel may have given the process id to another process since the listing.
        trial = self.site.environment[processes.TRIAL]
        if not _is_of_trial(members[0], trial):
            raise ClusterError(f"{target} is not a process of this trial, so it is not hit.")
        return members

    def _ended(self, target: Target, members: Iterable[psutil.Process]) -> str:
        """Wait until processes have ended, and return the exit code of the first.

        Raises:
            ClusterError: One still runs.
        """
        if still := processes.await_end(members, WAIT_S):
            raise ClusterError(f"{target}: process {still[0].pid} runs {WAIT_S:g} s after a kill.")
        parts = [*self._services, *self._nodes]
        of_part = [part.process for part in parts if part.process.pid == target.pid]
        if self._driver and self._driver.pid == target.pid:
            of_part.append(self._driver)
        # Through `Popen`: if psutil waited for a child, its exit code would be lost.
        for process in of_part:
            return f"exit code {process.wait(WAIT_S)}"
        return f"process {target.pid} has ended"


def _is_of_trial(process: psutil.Process, trial: str) -> bool:
    """Return whether a process belongs to a trial of this lab process, by its mark or label."""
    with contextlib.suppress(psutil.Error, OSError):
        is_marked = process_marks.read(process) == process_marks.of_trial(trial)
        is_labelled = process.environ().get(processes.TRIAL) == trial
        return process.pid != os.getpid() and (is_marked or is_labelled)
    return False


def _signal(members: Iterable[psutil.Process], number: signal.Signals) -> int:
    """Send a signal to processes that still run; return the instant, ns of CLOCK_MONOTONIC."""
    # After the listing of processes, which takes up to 60 ms: dated before it, a hit made tasks
    # that it interrupted look like redeliveries.
    now_ns = time.monotonic_ns()
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            process.send_signal(number)
    return now_ns


def _topmost(members: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return the processes whose parent is none of `members`, without those that have ended."""
    pids, topmost = {process.pid for process in members}, []
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                topmost.append(process)
    return topmost


def _is_stopped(process: psutil.Process) -> bool:
    try:
        # A zombie never stops, and executes nothing.
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
