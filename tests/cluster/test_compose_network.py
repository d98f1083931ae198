"""Clusters of containers are closed: nothing gets in from the machine, nothing gets out."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psutil
import pytest

from lab.core.model import Topology
from lab.providers.engine import docker
from tests.cluster.containers import standing
from tests.factories.trials import spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

# Run in a container: it prints what it could reach of what it must not.
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
# Public resolvers, which answer wherever there is a way out.
RESOLVERS = [("8.8.8.8", 53), ("1.1.1.1", 53), ("9.9.9.9", 443)]
SCAN = """
import json, socket
open_ports = {}
for name in ("redis", "node0", "node1", "driver"):
    address = socket.gethostbyname(name)
    open_ports[name] = []
    for port in range(1, 65536):
        with socket.socket() as probe:
            # The scanner may by chance meet itself: TCP lets a socket connect to its own port.
            answered = probe.connect_ex((address, port)) == 0
            if answered and probe.getsockname() != probe.getpeername():
                open_ports[name].append(port)
print(json.dumps(open_ports))
"""
LOOPBACK = ("127.", "::1")


def listening() -> set[int]:
    """Return the processes that listen on this machine beyond loopback."""
    found = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN"]
    beyond = [c for c in found if not str(next(iter(c.laddr), "")).startswith(LOOPBACK)]
    return {c.pid for c in beyond if c.pid}


def test_nothing_listens_beyond_the_internal_network(tmp_path: Path) -> None:
    """The machine has no new listener, and inside the broker's port alone is open."""
    before = listening()
    spec = spec_of("celery[prefork]", provider="compose", topology=Topology(2, 1, 1))
    with standing(spec, tmp_path) as cluster:
        ids = {name: part.id for name, part in cluster.parts.items()}
        # Others may begin to listen while we look; what forwards ports into containers may not.
        names = {psutil.Process(pid).name() for pid in listening() - before}
        told = json.loads(docker("inspect", *ids.values()))
        ports = json.loads(docker("exec", ids["driver"], "python", "-c", SCAN))
    assert not {name for name in names if name.startswith("docker")}
    hosts = [one["HostConfig"] for one in told]
    assert [host["PortBindings"] or {} for host in hosts] == [{}] * len(ids)
    assert not any(host["Privileged"] or host["NetworkMode"] == "host" for host in hosts)
    assert {mount["Type"] for one in told for mount in one["Mounts"]} <= {"volume", "tmpfs"}
    assert ports == {"redis": [6379], "node0": [], "node1": [], "driver": []}


def test_a_cluster_reaches_itself_and_nothing_else(tmp_path: Path) -> None:
    """A node reaches its own broker, and no other cluster, not this machine, not the world."""
    spec = spec_of("celery[prefork]", provider="compose")
    with (
        socket.create_server(("0.0.0.0", 0)) as ours,  # noqa: S104 - to see that nobody comes
        standing(spec, tmp_path / "one") as one,
        standing(spec, tmp_path / "other") as other,
    ):
        (address,) = addresses(other.parts["redis"].id)
        (own,) = addresses(one.parts["redis"].id)
        machine = [(host, ours.getsockname()[1]) for host in own_addresses()]
        wanted = [(own, 6379), (address, 6379), *machine, *RESOLVERS]
        program = ("python", "-c", REACH, json.dumps(wanted))
        assert json.loads(docker("exec", one.parts["node0"].id, *program)) == [own]


def own_addresses() -> list[str]:
    """Return the addresses of this machine beyond loopback, the engine's bridges among them."""
    every = [address for card in psutil.net_if_addrs().values() for address in card]
    mine = [one.address for one in every if one.family == socket.AF_INET]
    return [address for address in mine if not address.startswith(LOOPBACK)]


def addresses(container: str) -> list[str]:
    """Return a container's addresses, one for each network."""
    (told,) = json.loads(docker("inspect", container))
    return [network["IPAddress"] for network in told["NetworkSettings"]["Networks"].values()]
