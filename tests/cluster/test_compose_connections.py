"""Tests the check of connections in containers: a foreign server fails the trial."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.core.backend import capabilities
from lab.core.errors import ClusterError
from lab.core.model import Burst, Capability, Topology
from lab.host import connections
from lab.host.connections import Connection
from lab.planning import registry
from lab.providers import network, reaper
from lab.providers.compose import ComposeCluster
from lab.providers.engine import engine
from lab.providers.images import Images
from tests.cluster.containers import standing
from tests.factories.trials import run, spec_of

PATIENCE_S = 20.0
# Addresses as a little-endian CPU writes them: 0A00000A is 10.0.0.10.
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
# The decoy accepts one connection; both ends keep it open.
DECOY = "import socket; socket.create_server(('', 6379)).accept()[0].recv(1)"
TALK = "import socket, sys; socket.create_connection((sys.argv[1], 6379)).recv(1)"


def test_read_returns_listeners_and_outgoing_connections() -> None:
    """Accepted connections are left out; a listener on any address is on each."""
    rows = [
        "0: 00000000:18EB 00000000:0000 0A",  # listens on port 6379
        "1: 0A00000A:18EB 0B00000A:9C40 01",  # accepted
        "2: 0A00000A:9C41 0B00000A:18EC 01",  # connected to 10.0.0.11:6380
        "3: 0A00000A:9C42 0B00000A:18EC 06",  # closed less than a minute ago
        "4: 0100007F:9C43 0100007F:1F90 01",  # connected to its own port 8080
        "5: 0000000000000000FFFF00000A00000A:9C44 0000000000000000FFFF00000C00000A:18EB 02",
    ]
    read = network.read(HEAD + "\n".join(rows) + "\n" + HEAD, 7, "node0", ["10.0.0.10"])
    nowhere, listens = (network.ANY[0], 0), psutil.CONN_LISTEN
    assert read == [
        Connection(7, ("10.0.0.10", 6379), nowhere, listens),
        Connection(7, ("127.0.0.1 of node0", 6379), nowhere, listens),
        Connection(7, ("::1 of node0", 6379), nowhere, listens),
        Connection(7, ("10.0.0.10", 40001), ("10.0.0.11", 6380), psutil.CONN_ESTABLISHED),
        Connection(7, ("10.0.0.10", 40002), ("10.0.0.11", 6380), psutil.CONN_TIME_WAIT),
        Connection(
            7, ("127.0.0.1 of node0", 40003), ("127.0.0.1 of node0", 8080), psutil.CONN_ESTABLISHED
        ),
        Connection(7, ("10.0.0.10", 40004), ("10.0.0.12", 6379), psutil.CONN_SYN_SENT),
    ]


@pytest.fixture
def cluster(containers: Images, tmp_path: Path) -> Iterator[tuple[ComposeCluster, str]]:
    """Start a cluster of two nodes and a decoy in its network; yield it and the decoy's address."""
    spec = spec_of("celery[prefork]", provider="compose", topology=Topology(2, 1, 1))
    with standing(spec, tmp_path) as started, engine() as client:
        decoy = client.containers.run(
            containers["node"].name,
            ["python", "-c", DECOY],
            detach=True,
            network=f"{started.run}_cluster",
            labels={reaper.RUN: started.run},
        )
        try:
            decoy.reload()
            (joined,) = decoy.attrs["NetworkSettings"]["Networks"].values()
            yield started, joined["IPAddress"]
        finally:
            decoy.remove(force=True)


@pytest.mark.cluster
def test_a_container_that_talks_to_another_server_is_named(
    cluster: tuple[ComposeCluster, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other server is in the cluster's network, the only one that a node can reach."""
    started, address = cluster
    monkeypatch.setattr(connections, "FOREIGN_S", 0.2)
    started.prove_connections()
    with engine() as client:
        node = client.containers.get(started.parts["node1"].id)
        node.exec_run(["python", "-c", TALK, address], detach=True)
    with pytest.raises(ClusterError, match=f"node1 is connected to {address}:6379, which is no"):
        prove_until(started, time.monotonic() + PATIENCE_S)


def prove_until(started: ComposeCluster, deadline: float) -> None:
    """Repeat the check, because a process connects only a moment after its start."""
    while time.monotonic() < deadline:
        started.prove_connections()


@pytest.mark.cluster
def test_a_container_that_talks_to_no_server_is_named(
    cluster: tuple[ComposeCluster, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the container of the server itself, which only accepts connections."""
    started, _ = cluster
    # The message names the first part without a connection: the nodes must have theirs.
    connections.prove(lambda: network.look(started.parts, {"redis"}, {"node0", "node1"}))
    monkeypatch.setattr(connections, "MISSING_S", 0.2)
    with pytest.raises(ClusterError, match="redis is connected to no server of this trial"):
        connections.prove(
            lambda: network.look(started.parts, {"redis"}, {"redis", "node0", "node1"})
        )


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize(
    "label",
    [
        *("celery[prefork]", "celery[prefork+rabbitmq]", "celery[gevent+rabbitmq]", "rq[worker]"),
        *(
            "django-q[redis]",
            "django-q[orm+postgres]",
            "django-tasks[database+postgres]",
            "dask[distributed]",
            "raw-redis",
            "raw-amqp",
        ),
        *("thread-pool", "process-pool[forkserver]", "joblib[loky]"),
    ],
)
def test_connections_of_a_trial_in_containers_pass_the_check(label: str, tmp_path: Path) -> None:
    """With each kind of server, the check runs while workers wait for the warm-up."""
    nodes = 1 + (Capability.NODES in capabilities_of(label))
    spec = spec_of(label, arrival=Burst(20), provider="compose", topology=Topology(nodes, 1, 1))
    row = run(tmp_path, spec).row
    assert (row.status, row.reason) == ("ok", "")


def capabilities_of(label: str) -> frozenset[Capability]:
    """Return the capabilities of a variant."""
    selected = registry.select(label)
    return capabilities(selected.backend, selected.variant)
