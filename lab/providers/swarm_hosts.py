"""Finds the hosts of a swarm, and gives their CPUs to the parts of a cluster.

This engine manages the swarm. LAB_ENGINES names the engines of the hosts for workers, and of the
host for servers, which has the label `BROKER` in the swarm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from lab.core import placement
from lab.core.errors import ClusterError
from lab.core.model import Topology
from lab.core.placement import OVER, Placement
from lab.providers.engine import ENGINES, engine, named_engines

BROKER = "lab.broker"
NO_SWARM = "This engine manages no swarm. Run: docker swarm init --advertise-addr ADDRESS"


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the swarm.

    Attributes:
        name: Its host name.
        node: Its id in the swarm.
        address: The address of its engine; empty: the engine of Docker's command.
        cpus: The number of its CPUs.
    """

    name: str
    node: str
    address: str
    cpus: int


@dataclass(frozen=True, slots=True)
class Swarm:
    """The hosts of the driver, of the servers, and of the workers in the order of their nodes."""

    manager: Host
    broker: Host
    workers: tuple[Host, ...]

    def host_of(self, node: int) -> Host:
        """Return the host of a node of a trial's topology."""
        return self.workers[node % len(self.workers)]

    def used(self, nodes: int) -> tuple[Host, ...]:
        """Return the hosts of a trial with a number of nodes, each once."""
        return tuple(dict.fromkeys((self.manager, self.broker, *map(self.host_of, range(nodes)))))


def find() -> Swarm:
    """Ask the engines for the hosts of the swarm.

    Raises:
        ClusterError: There is no swarm, or a host is not usable; the message has the next step.
    """
    with engine() as client:
        here = client.info()
        if not here["Swarm"].get("ControlAvailable"):
            raise ClusterError(NO_SWARM)
        listed = {item["ID"]: item for item in client.api.nodes()}
    manager = _host(here, "", listed)
    hosts = [manager if not address else _read(address, listed) for address in named_engines()]
    labelled = {i for i, item in listed.items() if BROKER in (item["Spec"].get("Labels") or {})}
    brokers = [host for host in (manager, *hosts) if host.node in labelled]
    if labelled and not brokers:
        names = ", ".join(listed[node]["Description"]["Hostname"] for node in sorted(labelled))
        raise ClusterError(f"{names} has the label {BROKER}. Add its engine to {ENGINES}.")
    broker = brokers[0] if brokers else manager
    # A server that is measured has its host for itself.
    workers = tuple(host for host in dict.fromkeys(hosts) if not brokers or host != broker)
    return Swarm(manager, broker, workers or (manager,))


def _read(address: str, listed: Mapping[str, Any]) -> Host:
    try:
        with engine(address) as client:
            info = client.info()
    except ClusterError as error:
        finding = str(error).partition(" Run: ")[0]
        step = f"Start its engine, or take it out of {ENGINES}."
        raise ClusterError(f"{address}: {finding} {step}") from error
    return _host(info, address, listed)


def _host(info: Mapping[str, Any], address: str, listed: Mapping[str, Any]) -> Host:
    node = info["Swarm"].get("NodeID", "")
    if node not in listed:
        join = "Run on it what `docker swarm join-token worker` prints on the manager."
        raise ClusterError(f"{info['Name']} is not in the swarm of this engine. {join}")
    state, availability = listed[node]["Status"]["State"], listed[node]["Spec"]["Availability"]
    if (state, availability) != ("ready", "active"):
        active = f"docker node update --availability active {info['Name']}"
        raise ClusterError(
            f"{info['Name']} is {state} and {availability} in the swarm. Run: {active}"
        )
    return Host(info["Name"], node, address, int(info["NCPU"]))


@cache  # a campaign has the same hosts for all trials
def known() -> Swarm:
    """Return the hosts of the swarm, as they were at the first call."""
    return find()


def place(swarm: Swarm, topology: Topology, *, has_services: bool) -> Placement:
    """Give each node whole CPUs of its host, and driver and servers those that remain of theirs."""
    hosts, cores = [swarm.host_of(node) for node in range(topology.nodes)], topology.cores_per_node
    numbers = Counter(hosts)
    here = placement.place(
        placement.available_cpus(),
        replace(topology, nodes=numbers[swarm.manager]),
        has_services=has_services and swarm.broker == swarm.manager,
        in_driver=False,
    )
    blocks = {
        host: iter(placement.blocks(range(host.cpus), number, cores))
        for host, number in numbers.items()
    }
    blocks[swarm.manager] = iter(here.nodes)
    fits = all(number * cores <= host.cpus for host, number in numbers.items())
    there = tuple(range(swarm.broker.cpus)) if has_services else ()
    return Placement(
        here.driver,
        here.services if swarm.broker == swarm.manager else there,
        tuple(next(blocks[host]) for host in hosts),
        here.lab,
        here.mode if fits else OVER,
        dedicated=here.dedicated and fits,
        is_remote={*hosts, swarm.broker} != {swarm.manager},
    )
