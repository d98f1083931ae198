"""Tests the check of connections: a connection to a foreign server fails the trial."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from lab.core.errors import ClusterError
from lab.core.model import Burst
from lab.host import child_environment, connections, processes, temp_dirs
from lab.host.connections import OPEN, Connection, Parts, foreign, unconnected
from lab.providers.servers import RedisService
from tests.factories.foreign_environment import JUNK
from tests.factories.trials import run, spec_of

SERVER, OTHER = ("127.0.0.1", 7000), ("127.0.0.1", 16379)
LISTENS = Connection(1, SERVER, ("", 0), psutil.CONN_LISTEN)
PARTS = Parts({1}, {"node0-0": {2, 3}}, {"redis": {1}, "node0-0": {2, 3}, "driver": {4}})
PASSWORD = "of-another-project"  # noqa: S105 (of a server of this test)


def to(pid: int, there: tuple[str, int], state: str = psutil.CONN_ESTABLISHED) -> Connection:
    """Return a connection of process `pid` to `there`."""
    return Connection(pid, ("127.0.0.1", 40_000 + pid), there, state)


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize(("pid", "name"), [(2, "node0-0"), (3, "node0-0"), (4, "driver")])
def test_foreign_names_the_process_and_the_address(pid: int, name: str, state: str) -> None:
    """It covers workers and driver, and connections that are still being opened."""
    expected = [LISTENS, to(2, SERVER), to(4, SERVER)]
    assert foreign(PARTS, expected) == ""
    assert foreign(PARTS, [*expected, to(9, OTHER)]) == ""
    message = foreign(PARTS, [*expected, to(pid, OTHER, state)])
    assert message.startswith(f"{name} is connected to 127.0.0.1:16379")


def test_unconnected_names_a_worker_without_a_server() -> None:
    """One process of a worker must be connected; without servers no connection is needed."""
    assert unconnected(PARTS, [LISTENS, to(3, SERVER)]) == ""
    assert unconnected(PARTS, [LISTENS, to(4, SERVER)]).startswith("node0-0 is connected to no")
    assert unconnected(PARTS._replace(servers=()), []) == ""


@pytest.mark.parametrize("later", [OTHER, SERVER])
def test_a_connection_elsewhere_counts_if_two_looks_show_it(
    later: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look may take long, and show only one end of a connection that has just been closed."""
    monkeypatch.setattr(connections, "FOREIGN_S", 0.0)
    looks = iter([OTHER, later])

    def look() -> tuple[Parts, list[Connection]]:
        return PARTS, [LISTENS, to(2, SERVER), to(4, next(looks))]

    if later == SERVER:
        connections.prove(look)
    else:
        with pytest.raises(ClusterError, match="driver is connected to 127.0.0.1:16379"):
            connections.prove(look)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """Start a foreign server with one message, and point the shell's variables to it."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "others"}
    with temp_dirs.folder() as folder:
        server = RedisService().start(folder, (), labels, PASSWORD)
        for name, value in JUNK.items():
            is_url = value.startswith(("redis://", "amqp://", "tcp://", "postgresql://"))
            monkeypatch.setenv(name, server.endpoint if is_url else value)
        client = redis.Redis.from_url(server.endpoint)
        client.lpush("shop", "a message of another project")
        try:
            yield client
        finally:
            client.close()
            processes.stop(server.process)


def seen_by(others: redis.Redis) -> tuple[int, int]:
    """Return the number of connections that the server had, and of its waiting messages."""
    return int(others.info("stats")["total_connections_received"]), int(others.llen("shop"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "label",
    [
        *("celery[prefork]", "celery[prefork+results]", "celery[threads]", "celery[gevent]"),
        *("rq[worker]", "rq[worker-pool]", "django-rq", "django-q[redis]", "raw-redis"),
        *("dask[distributed]", "thread-pool", "process-pool[spawn]"),
    ],
)
def test_no_connection_reaches_a_foreign_server(
    label: str, others: redis.Redis, tmp_path: Path
) -> None:
    """The trial runs on its own server, and the foreign one has no new connection."""
    before = seen_by(others)
    row = run(tmp_path, spec_of(label, arrival=Burst(20))).row
    assert (row.status, row.reason) == ("ok", "")
    assert seen_by(others) == before


# Celery's name for the queue that its workers read unless another is chosen.
DEFAULT_QUEUE = "celery"
# A worker that received it would discard it, because no such task is registered.
OF_ANOTHER = {
    "body": "W1tdLCB7fSwge31d",
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {"lang": "py", "task": "shop.charge", "id": "1", "root_id": "1", "parent_id": None},
    "properties": {"correlation_id": "1", "delivery_mode": 2, "delivery_tag": "1"}
    | {"delivery_info": {"exchange": "", "routing_key": DEFAULT_QUEUE}, "body_encoding": "base64"},
}


@pytest.mark.slow
def test_a_message_in_the_default_queue_of_a_foreign_server_stays(
    others: redis.Redis, tmp_path: Path
) -> None:
    """A Celery worker reads this queue by default (celery#4284)."""
    others.lpush(DEFAULT_QUEUE, json.dumps(OF_ANOTHER))
    row = run(tmp_path, spec_of("celery", arrival=Burst(20))).row
    assert (row.status, row.reason) == ("ok", "")
    assert others.llen(DEFAULT_QUEUE) == 1
    assert not others.exists("unacked")


@pytest.mark.slow
def test_a_worker_that_is_connected_elsewhere_fails_the_trial(
    others: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of `--pass-env` has the foreign address, and the reason shows the connection."""
    monkeypatch.setattr(child_environment, "SYSTEMS", re.compile("(?!)"))
    spec = spec_of("celery", arrival=Burst(20), pass_env=("CELERY_BROKER_URL",))
    row = run(tmp_path, spec).row
    port = others.connection_pool.connection_kwargs["port"]
    assert row.status == "failed"
    assert f"is connected to 127.0.0.1:{port}, which is no part of this trial" in row.reason


def test_connections_lists_a_connection_of_this_process() -> None:
    """The entry has both addresses of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            here = client.getsockname()
            mine = connections.connections([os.getpid()])
            assert (here, address) in [(entry.here, entry.there) for entry in mine]
