"""Runs each trial as a stack of a Docker Swarm: the same containers, spread over several hosts.

The driver is on the manager, whose engine Docker's command uses; LAB_ENGINES names those of the
other hosts. Workers write their records on their own host, where an agent serves them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lab.core.environment_provider import Environments, NoEnvironments
from lab.core.errors import ClusterError
from lab.core.model import BackendContext, Service, Topology
from lab.core.placement import Placement, cpu_text
from lab.core.provider import AgentAddress, Cluster, TrialContext
from lab.providers import (
    container_files,
    docker_command,
    reaper,
    swarm_hosts,
    swarm_stack,
)
from lab.providers.compose import SERVERS
from lab.providers.compose_override import DRIVER, ENDPOINTS, NODE, TRIAL, needed_images
from lab.providers.compose_parts import LEDGER, ContainerPart
from lab.providers.container_events import SERVICE
from lab.providers.engine import engine
from lab.providers.swarm_faults import SwarmFaults
from lab.providers.swarm_stack import AGENT, PORT

START_S, LOOK_S = 60.0, 0.2
# States of a task of a service that has no container, and gets none.
ENDED = ("failed", "rejected", "orphaned")
SHA = "sha256:"


class SwarmCluster(SwarmFaults):
    """Services, nodes and driver as containers of the hosts of a swarm."""

    # cron reads the crontabs that the driver writes, in a volume of one engine.
    offers = frozenset(ENDPOINTS) - {Service.CRON}
    environments: ClassVar[Environments] = NoEnvironments()
    has_quotas = False
    shares_files = False
    start_s = 10.0

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        self._described: dict[str, Any] = {}

    @classmethod
    def place(cls, topology: Topology, *, has_services: bool, in_driver: bool) -> Placement:
        """Return the CPUs of each role, each on its host."""
        if in_driver:
            return Cluster.place(topology, has_services=has_services, in_driver=True)
        return swarm_hosts.place(swarm_hosts.known(), topology, has_services=has_services)

    def up(self) -> BackendContext:
        """Start the driver and the servers, wait until the servers answer, then start the nodes."""
        # Again for each trial, because a host may have left.
        self._swarm = swarm_hosts.find()
        self.engines = [host.address for host in self._swarm.used(self.site.spec.topology.nodes)]
        context = super().up()
        nodes = [name for name in self.parts if name.startswith(NODE)]
        self.hosts = "|".join(self._host(f"{NODE}{n}").name for n in range(len(nodes)))
        # Of the containers the swarm knows only the ids.
        used = {part.image.partition("@")[0] for part in self.parts.values()}
        named = [image for image in needed_images(self.site).values() if image.id in used]
        ids = [f"{image.name}@{image.id.removeprefix(SHA)}" for image in named]
        self.images = "; ".join(sorted(ids))
        return context

    @property
    def agents(self) -> tuple[AgentAddress, ...]:
        """Return the agent of each host of nodes, with the first node of that host."""
        numbers = (int(name[len(AGENT) :]) for name in self.parts if name.startswith(AGENT))
        return tuple(AgentAddress(n, f"{AGENT}{n}", PORT) for n in sorted(numbers))

    def _put(self, files: Mapping[str, bytes], folders: Sequence[str] = ()) -> None:
        """Write files for the driver, and for the nodes of each host, which share its volume."""
        super()._put(files, folders)
        for part in self._of_agents():
            container_files.put(part.id, TRIAL, files, folders, part.address)

    def _of_agents(self) -> list[ContainerPart]:
        return [part for name, part in self.parts.items() if name.startswith(AGENT)]

    def _start(self, names: Sequence[str], parts: Mapping[str, Any]) -> None:
        # The agents at the first call, so that they have files for the nodes and answer early.
        nodes = sorted((int(n[len(NODE) :]) for n in parts if n.startswith(NODE)), reverse=True)
        first_of = {self._swarm.host_of(node): node for node in nodes}
        agents = {f"{AGENT}{node}" for node in first_of.values()} - {*self.parts}
        for part in self._of_agents():  # the nodes write into it
            container_files.put(part.id, TRIAL, {}, (LEDGER,), part.address)
        wanted = [*names, *sorted(agents)]
        if not self._described:  # equal at both calls
            words = ("--profile", "*", "config", "--format", "json")
            self._described = json.loads(self._compose(parts, *words))
        # The password is the token of the agents as well: both are of one trial.
        stack = swarm_stack.stack_of(
            self._described,
            {name: self._host(name) for name in wanted},
            {image.name: image.id for image in needed_images(self.site).values()},
            self.password,
        )
        options = ("--resolve-image", "never", "--compose-file", "-")
        docker_command.run("stack", "deploy", *options, self.run, given=stack)
        deadline = time.monotonic() + START_S
        while not {*wanted} <= {*self.parts}:
            if reason := self._refusal():
                raise ClusterError(reason)
            if time.monotonic() > deadline:
                missing = ", ".join(sorted({*wanted} - {*self.parts}))
                raise ClusterError(f"{missing} did not start in {START_S:.0f} s. Run: lab doctor")
            time.sleep(LOOK_S)
            self._look()
        for name in wanted:
            self._pin(name)

    def _refusal(self) -> str:
        """Return in a sentence why the swarm does not start a container; empty if it does."""
        label = {"label": f"{reaper.RUN}={self.run}"}
        with engine() as client:
            tasks = client.api.tasks(filters=label)  # type: ignore[no-untyped-call]
        for task in tasks:
            name = task["Spec"]["ContainerSpec"]["Labels"][SERVICE]
            status = task["Status"]
            # The end of a container comes as an event, with its log.
            has_container = status.get("ContainerStatus", {}).get("ContainerID")
            if status["State"] in ENDED and not has_container:
                why = status.get("Err") or status.get("Message") or status["State"]
                return f"{name} was not started on {self._host(name).name}: {why}. Run: lab doctor"
        return ""

    def _pin(self, name: str) -> None:
        """Let a container run on the CPUs of its role only, which a swarm cannot do."""
        place, host = self.site.placement, self._host(name)
        if name == DRIVER:
            cpus: Sequence[int] = place.driver
        elif name in SERVERS:
            cpus = place.services if host == self._swarm.broker else place.driver
        elif name.startswith(NODE):
            cpus = place.nodes[int(name[len(NODE) :])]
        else:  # an agent, beside the nodes if there is another CPU
            of_host = [c for n, c in enumerate(place.nodes) if self._swarm.host_of(n) == host]
            every = range(host.cpus)
            cpus = sorted({*every}.difference(*of_host)) or every
        if cpus:
            with engine(host.address) as client:
                client.api.update_container(self.parts[name].id, cpuset_cpus=cpu_text(cpus))
