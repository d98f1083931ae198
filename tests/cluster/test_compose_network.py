"""Tests that a cluster of containers is isolated from the machine and from other networks."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psutil
import pytest

from lab.core.model import Topology
from lab.providers import container_process
from lab.providers.engine import engine
from tests.cluster.containers import standing
from tests.factories.trials import spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

# Runs in a container and prints the addresses that it could reach.
REACH = """
import contextlib, json, socket, sys
reached = []
for host, port in json.loads(sys.argv[1]):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()
        reached.append(host)
with contextlib.suppress(OSError):
    reached.append(socket.gethostbyname("example.com"))
print(json.dumps(reached))
"""
# Public resolvers, which answer if there is a route to the internet.
RESOLVERS = [("8.8.8.8", 53), ("1.1.1.1", 53), ("9.9.9.9", 443)]
SCAN = """
import json, socket
open_ports = {}
for name in ("redis", "node0", "node1", "driver"):
    address = socket.gethostbyname(name)
    open_ports[name] = []
    for port in range(1, 65536):
        with socket.socket() as probe:
            # TCP lets a socket connect to its own port, so the scanner may find itself by chance.
            answered = probe.connect_ex((address, port)) == 0
            if answered and probe.getsockname() != probe.getpeername():
                open_ports[name].append(port)
print(json.dumps(open_ports))
"""
LOOPBACK = ("127.", "::1")


def listening() -> set[int]:
    """Return the processes that listen on addresses of this machine other than loopback."""
    sockets = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN"]
    reachable = [c for c in sockets if not str(next(iter(c.laddr), "")).startswith(LOOPBACK)]
    return {c.pid for c in reachable if c.pid}


def test_nothing_listens_beyond_the_internal_network(tmp_path: Path) -> None:
    """The machine has no new listener, and in the cluster only the port of the broker is open."""
    before = listening()
    spec = spec_of("celery[prefork]", provider="compose", topology=Topology(2, 1, 1))
    with standing(spec, tmp_path) as cluster:
        ids = {name: part.id for name, part in cluster.parts.items()}
        # Unrelated programs may begin to listen meanwhile; a port forwarder of Docker must not.
        names = {psutil.Process(pid).name() for pid in listening() - before}
        with engine() as client:
            inspected = [client.api.inspect_container(identity) for identity in ids.values()]
        ports = json.loads(container_process.run(ids["driver"], "python", "-c", SCAN))
    assert not {name for name in names if name.startswith("docker")}
    hosts = [container["HostConfig"] for container in inspected]
    assert [host["PortBindings"] or {} for host in hosts] == [{}] * len(ids)
    assert not any(host["Privileged"] or host["NetworkMode"] == "host" for host in hosts)
    mounts = [mount for container in inspected for mount in container["Mounts"]]
    assert {mount["Type"] for mount in mounts} <= {"volume", "tmpfs"}
    assert ports == {"redis": [6379], "node0": [], "node1": [], "driver": []}


def test_a_cluster_reaches_itself_and_nothing_else(tmp_path: Path) -> None:
    """A node reaches its broker, but no other cluster, not this machine and not the internet."""
    spec = spec_of("celery[prefork]", provider="compose")
    with (
        socket.create_server(("0.0.0.0", 0)) as server,  # noqa: S104 - must not be reachable
        standing(spec, tmp_path / "one") as cluster,
        standing(spec, tmp_path / "other") as other,
    ):
        (broker,) = addresses(cluster.parts["redis"].id)
        (other_broker,) = addresses(other.parts["redis"].id)
        machine = [(host, server.getsockname()[1]) for host in machine_addresses()]
        targets = [(broker, 6379), (other_broker, 6379), *machine, *RESOLVERS]
        program = ("python", "-c", REACH, json.dumps(targets))
        reached = container_process.run(cluster.parts["node0"].id, *program)
        assert json.loads(reached) == [broker]


def machine_addresses() -> list[str]:
    """Return this machine's IPv4 addresses except loopback, including the engine's bridges."""
    cards = [address for card in psutil.net_if_addrs().values() for address in card]
    ipv4 = [entry.address for entry in cards if entry.family == socket.AF_INET]
    return [address for address in ipv4 if not address.startswith(LOOPBACK)]


def addresses(container: str) -> list[str]:
    """Return a container's addresses, one for each network."""
    with engine() as client:
        inspected = client.api.inspect_container(container)
    return [network["IPAddress"] for network in inspected["NetworkSettings"]["Networks"].values()]
