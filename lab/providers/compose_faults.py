"""Lets faults hit the containers of a cluster, and starts them again.

A whole worker, server or scheduler is a container, which the engine kills, pauses or starts. A
child of a worker is a process in a container; a `ContainerAgent` in it sends the signal.
"""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.core.errors import ClusterError
from lab.core.fault_hooks import BY_SIGNALS, LedgerView
from lab.core.faults import Role, Target
from lab.core.model import Service
from lab.core.provider import Cluster, TrialContext
from lab.host import processes
from lab.providers import container_files, reaper
from lab.providers.compose_override import (
    DRIVER,
    ENDPOINTS,
    LUGGAGE,
    NODE,
    SCHEDULER,
    TRIAL,
)
from lab.providers.compose_parts import INIT, ContainerPart, Process, below, driver_of, workers_of
from lab.providers.container_agent import ContainerAgent, ContainerLedger
from lab.providers.container_events import ContainerEvents, Death
from lab.providers.container_process import ContainerProcess
from lab.providers.engine import engine

LOOK_S, WAIT_S = 0.02, 10.0


class ComposeFaults(Cluster):
    """The hooks of the faults that an engine, or a process in a container, can cause."""

    faults = BY_SIGNALS

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        # A random suffix, because another campaign may run the same trial at the same time.
        self.run = f"lab-{site.environment[processes.TRIAL]}-{secrets.token_hex(3)}"
        self.parts: dict[str, ContainerPart] = {}
        # The addresses of the engines that run them; empty: that of Docker's command.
        self.engines: Sequence[str] = ("",)
        self._events: ContainerEvents | None = None
        self._driver: ContainerProcess | None = None
        self._dead: set[str] = set()
        self._paused: set[str] = set()
        # Start of each node that was restarted, ns of CLOCK_MONOTONIC.
        self._since_ns: dict[int, int] = {}

    def arm(self) -> None:
        """Start the agents of a trial with a fault, before its window."""
        if self.site.spec.fault is None:
            return
        for name in self.parts:
            # Now, because the start of a program in a container takes longer than a task.
            if name == DRIVER or name.startswith(NODE):
                self._agent(name)

    def disarm(self) -> None:
        """Stop the agents."""
        for part in self.parts.values():
            part.stop_agents()

    def open_ledger(self, tasks: range) -> LedgerView:
        """Return a view of the ledger, which is in a volume of the engine."""
        return ContainerLedger(self._agent(DRIVER), tasks, self._since_ns)

    def fetch_records(self) -> None:
        """Copy the records so far from the volume into the folder of the trial."""
        packed = container_files.get(self.parts[DRIVER].id, TRIAL, excluded=LUGGAGE)
        container_files.unpack(packed, self.site.folder)

    def write_record(self, name: str, content: bytes) -> None:
        """Write a file into the folder of the trial and into the volume, which `down` copies."""
        super().write_record(name, content)
        container_files.put(self.parts[DRIVER].id, TRIAL, {name: content})

    def targets(self, role: Role) -> Sequence[Target]:
        """Return the running containers or processes of a role."""
        return [*self._targets(role)]

    def _targets(self, role: Role) -> Iterator[Target]:
        for name in self.parts:
            # The agent of a paused container is frozen as well, and would never answer.
            if name in self._dead or name in self._paused:
                continue
            is_scheduler = name in (SCHEDULER, Service.CRON)
            if (is_scheduler and role is Role.SCHEDULER) or (
                name in ENDPOINTS and not is_scheduler and role is Role.BROKER
            ):
                yield Target(role, name, None)
            elif name == DRIVER and role in (Role.DRIVER, Role.CHILD):
                pids = driver_of(self._processes(name))
                pids = pids[1:] if role is Role.CHILD else pids[:1]
                yield from (Target(role, name, pid, 0, 0) for pid in pids)
            elif name.startswith(NODE) and role in self._roles_of_node:
                node, tree = int(name[len(NODE) :]), self._processes(name)
                workers = workers_of(tree)
                pids = [*below(tree, workers)] if role is Role.CHILD else workers[:1]
                yield from (Target(role, name, pid, node) for pid in pids)

    @property
    def _roles_of_node(self) -> tuple[Role, ...]:
        roles = (Role.WORKER, Role.CHILD)
        return (*roles, Role.SCHEDULER) if self.site.schedules_in_workers else roles

    def pids_of(self, target: Target) -> set[int | None]:
        """Return the process ids of a target; None: all of the container of a worker.

        A worker that forks for each task has other children a moment later.
        """
        if target.role in (Role.CHILD, Role.DRIVER):
            return {target.pid}
        return {None} if target.part.startswith(NODE) else set()

    def kill(self, target: Target) -> str:
        """Kill a process, or the container of a worker or server, by SIGKILL."""
        if target.role not in (Role.CHILD, Role.DRIVER):
            part = self._running(target)
            with engine() as client:
                client.api.kill(part.id)
            # The nearest known instant: the engine answers after it has sent the signal.
            self.struck_ns = time.monotonic_ns()
            return self._exit_code(target.part, WAIT_S)
        agent, self.struck_ns = self._agent(target.part), time.monotonic_ns()
        if not agent.ask("signal", [target.pid], signal.SIGKILL):
            raise ClusterError(f"{target} has ended before.")
        if not agent.ask("ended", target.pid):
            raise ClusterError(f"{target} still runs after SIGKILL.")
        if target.role is Role.DRIVER and self._driver:
            return f"exit code {self._driver.wait(WAIT_S)}"
        return f"process {target.pid} of {target.part} has ended"

    def terminate(self, target: Target, grace_s: float) -> str:
        """Send SIGTERM to a worker, and kill its container after `grace_s` seconds.

        The signal reaches the command itself, and not only the first process of the container.
        """
        part, begin = self._running(target), time.monotonic()
        # Where a node has a launcher, only that: it passes SIGTERM on once, and a second one
        # would end the tasks of RQ at once.
        mains = [each.pid for each in self._processes(target.part) if each.parent == INIT]
        if not self._agent(target.part).ask("signal", mains, signal.SIGTERM):
            raise ClusterError(f"{target} has ended before.")
        if code := self._exit_code(target.part, grace_s):
            return f"{code} {time.monotonic() - begin:.3f} s after SIGTERM"
        with engine() as client:
            client.api.kill(part.id)
        proof = self._exit_code(target.part, WAIT_S)
        return f"still running {grace_s:g} s after SIGTERM; {proof}"

    def pause(self, target: Target) -> str:
        """Freeze the container of a target."""
        part = self._running(target)
        self._paused.add(target.part)
        with engine() as client:
            client.api.pause(part.id)
            self.struck_ns = time.monotonic_ns()
            return f"State.Status {client.api.inspect_container(part.id)['State']['Status']}"

    def resume(self, target: Target) -> str:
        """Continue the container of a target."""
        part = self.parts[target.part]
        with engine() as client:
            client.api.unpause(part.id)
            state = client.api.inspect_container(part.id)["State"]["Status"]
        self._paused.discard(target.part)
        return f"State.Status {state}"

    def dead_parts(self) -> Sequence[str]:
        """Return the names of the containers that have ended."""
        self.deaths()
        return [name for name in self.parts if name in self._dead]

    def restart(self, part: str) -> None:
        """Start the same container again; its volumes have their data."""
        ended = self.parts[part]
        ended.stop_agents()
        if part.startswith(NODE):
            # Before the start, so that all writers of the new run are younger.
            self._since_ns[int(part[len(NODE) :])] = time.monotonic_ns()
        # Before the start, because the event of another end must not be forgotten.
        self._dead.discard(part)
        with engine() as client:
            client.api.start(ended.id)
        try:
            self._observe(part)
        except ClusterError:
            # A worker without its server ends again at once, and its event leads to a restart.
            if not self._exit_code(part, WAIT_S):
                raise

    def _observe(self, part: str) -> None:
        """Read the use of a container that was started again, and run the agent of a node."""
        started = self.parts[part]
        with engine() as client:
            pid = client.api.inspect_container(started.id)["State"]["Pid"]
        if started.meter and pid:
            started.meter.restart(pid)
        if part.startswith(NODE):
            self._agent(part)

    def deaths(self) -> list[Death]:
        """Note the containers that have ended since the last call.

        Return the deaths that fail the trial: those before the first fault, and that of the driver.
        """
        deaths = [*self._events.deaths()] if self._events else []
        # After `oom`, the kernel has killed a process, but its container may go on.
        self._dead |= {name for event, name, _ in deaths if event == "die"}
        return [each for each in deaths if each.name == DRIVER or not self.supervised]

    def _running(self, target: Target) -> ContainerPart:
        if target.part in self._dead or target.part not in self.parts:
            raise ClusterError(f"{target} has ended before.")
        return self.parts[target.part]

    def _exit_code(self, name: str, patience_s: float) -> str:
        """Wait for the end of a container, and return its exit code; empty if it still runs."""
        deadline = time.monotonic() + patience_s
        while True:
            with engine(self.parts[name].address) as client:
                state = client.api.inspect_container(self.parts[name].id)["State"]
            if not state["Running"]:
                return f"State.ExitCode {state['ExitCode']}"
            if time.monotonic() > deadline:
                return ""
            time.sleep(LOOK_S)

    def _log(self, name: str) -> Path:
        return self.site.logs / f"agent-{name}.log"

    def _agent(self, name: str) -> ContainerAgent:
        return self.parts[name].get_agent(self._log(name))

    def _helper(self, name: str) -> ContainerAgent:
        return self.parts[name].get_helper(self._labels(), self._log(name))

    def _processes(self, name: str) -> list[Process]:
        return self.parts[name].processes(self._log(name))

    def _labels(self) -> dict[str, str]:
        return {reaper.RUN: self.run, reaper.OWNER: self.site.environment[processes.OWNER]}
