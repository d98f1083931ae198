"""Clusters of containers are closed: nothing gets in from the machine, nothing gets out."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from lab.engine import docker
from lab.model import Topology
from tests.containers import standing
from tests.trials import spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

# Run in a container: it prints what it could reach of what it must not. The addresses are for
# documentation (RFC 5737) and public resolvers; no route may exist to any of them.
REACH = """
import json, socket
reached = []
for host, port in [("192.0.2.1", 80), ("198.51.100.1", 443), ("8.8.8.8", 53), ("1.1.1.1", 53)]:
    try:
        socket.create_connection((host, port), timeout=1).close()
        reached.append(host)
    except OSError as error:
        if isinstance(error, TimeoutError):
            reached.append(f"{host}: a route is there")
for name in ("example.com", "pypi.org"):
    try:
        reached.append(socket.gethostbyname(name))
    except OSError:
        pass
routes = [line.split()[1] for line in open("/proc/net/route").readlines()[1:]]
print(json.dumps([reached, [route for route in routes if route == "00000000"]]))
"""
SCAN = """
import json, socket
open_ports = {}
for name in ("redis", "node0", "node1", "driver"):
    address = socket.gethostbyname(name)
    open_ports[name] = []
    for port in range(1, 65536):
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                open_ports[name].append(port)
print(json.dumps(open_ports))
"""
LOOPBACK = ("127.", "::1")


def listening() -> set[tuple[str, int]]:
    """Return what listens on this machine beyond loopback."""
    found = {tuple(c.laddr) for c in psutil.net_connections("tcp") if c.status == "LISTEN"}
    return {(str(ip), int(port)) for ip, port in found if not str(ip).startswith(LOOPBACK)}


def test_nothing_listens_beyond_the_internal_network_and_nothing_gets_out(tmp_path: Path) -> None:
    """The machine has no new listener; inside, the broker's port alone is open; outside is none."""
    before = listening()
    spec = spec_of("celery[prefork]", provider="compose", topology=Topology(2, 1, 1))
    with standing(spec, tmp_path) as cluster:
        assert listening() - before == set()
        ids = {name: part.id for name, part in cluster.parts.items()}
        told = json.loads(docker("inspect", *ids.values()))
        assert [one["HostConfig"]["PortBindings"] or {} for one in told] == [{}] * len(ids)
        assert not any(one["HostConfig"]["Privileged"] for one in told)
        assert not any("docker.sock" in json.dumps(one["Mounts"]) for one in told)
        assert not any(mount["Type"] == "bind" for one in told for mount in one["Mounts"])
        reached, ways_out = json.loads(docker("exec", ids["node0"], "python", "-c", REACH))
        assert (reached, ways_out) == ([], [])
        ports = json.loads(docker("exec", ids["driver"], "python", "-c", SCAN))
    assert ports == {"redis": [6379], "node0": [], "node1": [], "driver": []}
