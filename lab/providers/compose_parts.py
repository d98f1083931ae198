"""Describes the containers of a cluster, and the processes in them that a fault may hit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lab.core.errors import ClusterError
from lab.providers.cgroups import Meter
from lab.providers.compose_override import TRIAL
from lab.providers.container_agent import ContainerAgent
from lab.providers.helper_container import HelperContainer
from lab.worker import container

LEDGER = "ledger"
# `docker-init`, which starts the command of the container.
INIT = 1


class Process(NamedTuple):
    """A running process of a container."""

    pid: int
    parent: int
    argv: list[str]


@dataclass(slots=True)
class ContainerPart:
    """One container of the cluster.

    Attributes:
        id: Its id in the engine.
        image: The name of its image, and the id.
        meter: Reads its use; None if it had ended when it was first seen.
        agent: A program in it; None before its first use.
        helper: A program in another container that may change the network of this one.
        address: The address of its engine; empty: that of Docker's command.
    """

    id: str
    image: str
    meter: Meter | None
    agent: ContainerAgent | None = field(default=None, repr=False)
    helper: ContainerAgent | None = field(default=None, repr=False)
    address: str = ""

    def get_agent(self, log: Path) -> ContainerAgent:
        """Return the agent in this container, started if there is none."""
        if self.agent is None:
            self.agent = ContainerAgent(self.id, f"{TRIAL}/{LEDGER}", log, self.address)
        return self.agent

    def get_helper(self, labels: Mapping[str, str], log: Path) -> ContainerAgent:
        """Return the agent that may change the network, started if there is none."""
        if self.helper is None:
            network = {"cap_add": ["NET_ADMIN"], "network_mode": f"container:{self.id}"}
            self.helper = HelperContainer(labels, log, self.address, **network).agent
        return self.helper

    def stop_agents(self) -> None:
        """End the connections to the agents, which end with their containers."""
        for agent in (self.agent, self.helper):
            if agent:
                agent.stop()
        self.agent = self.helper = None

    def processes(self, log: Path) -> list[Process]:
        """Return the processes of the container; none if it has ended."""
        try:
            return [Process(*listed) for listed in self.get_agent(log).ask("processes")]
        except ClusterError:
            return []


def part_of(details: Mapping[str, Any], address: str = "") -> ContainerPart:
    """Return the part of a container that the engine at `address` describes."""
    identity, pid = details["Id"], details["State"]["Pid"]
    image = f"{details['Config']['Image']}@{details['Image'].removeprefix('sha256:')}"
    meter = Meter(identity, pid, address) if pid else None
    return ContainerPart(identity, image, meter, address=address)


def below(tree: Sequence[Process], roots: Sequence[int]) -> Iterator[int]:
    """Yield the processes below `roots`."""
    for process in tree:
        if process.parent in roots:
            yield process.pid
            yield from below(tree, [process.pid])


def workers_of(tree: Sequence[Process]) -> list[int]:
    """Return the processes of the backend's commands in a node."""
    mains = [process for process in tree if process.parent == INIT]
    launchers = [process.pid for process in mains if container.__name__ in process.argv]
    # A launcher executes no task, so a hit on it would test nothing.
    commands = [process for process in tree if process.parent in launchers]
    return [process.pid for process in (commands if launchers else mains)]


def driver_of(tree: Sequence[Process]) -> list[int]:
    """Return the driver, which the engine started in its container, and then its children."""
    # The parent of a program that the engine starts is outside of the namespace, so it shows as 0.
    drivers = [p.pid for p in tree if "lab.driver" in p.argv and p.parent == 0]
    return [*drivers, *below(tree, drivers)]
