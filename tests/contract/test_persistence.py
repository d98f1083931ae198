"""Tests which keys of Redis remain after SIGKILL of the server and a restart, by persistence.

The page cache survives SIGKILL, so that both append-only modes keep every acknowledged write.
Only a loss of power distinguishes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from lab.core.faults import Persistence
from lab.host import processes
from lab.providers.servers import RedisService, RunningServer
from lab.worker.container import wait

LABELS = {processes.OWNER: processes.owner(), processes.TRIAL: "persistence-0"}
SAVED, UNSAVED = 20, 30
LEFT = {
    Persistence.NONE: 0,
    Persistence.RDB: SAVED,
    Persistence.AOF_EVERYSEC: SAVED + UNSAVED,
    Persistence.AOF_ALWAYS: SAVED + UNSAVED,
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[RedisService], RunningServer]]:
    """A function that starts a server; it is stopped after the test."""
    logs, running = tmp_path / "logs", list[RunningServer]()
    logs.mkdir()

    def start(service: RedisService) -> RunningServer:
        running.append(service.start(logs, (), LABELS, "secret"))
        return running[-1]

    yield start
    processes.stop(*(server.process for server in running))


def write(running: RunningServer, first: int, n: int) -> None:
    """Write `n` keys, and wait for each reply."""
    with redis.Redis.from_url(running.endpoint) as client:
        for number in range(first, first + n):
            client.set(f"key {number}", number)


@pytest.mark.parametrize("persistence", Persistence)
def test_keys_that_remain_after_sigkill_depend_on_the_persistence(
    persistence: Persistence, start: Callable[[RedisService], RunningServer], tmp_path: Path
) -> None:
    """A restart has the same endpoint; the append-only modes lose nothing, the others do."""
    service = RedisService(persistence, tmp_path / "data")
    first = start(service)
    write(first, 0, SAVED)
    if persistence is Persistence.RDB:
        with redis.Redis.from_url(first.endpoint) as client:
            client.save()
    write(first, SAVED, UNSAVED)
    first.process.kill()
    first.process.wait()
    second = start(service)
    assert second.endpoint == first.endpoint
    with redis.Redis.from_url(second.endpoint) as client:
        assert client.dbsize() == LEFT[persistence]
        for number in range(LEFT[persistence]):
            assert client.get(f"key {number}") == str(number).encode()


@pytest.mark.parametrize("persistence", ["", *Persistence])
def test_row_has_the_persistence_in_force(
    persistence: str, start: Callable[[RedisService], RunningServer], tmp_path: Path
) -> None:
    """The server reports the persistence that the lab writes into the column `services`."""
    running = start(RedisService(persistence, tmp_path / "data"))
    shown = wait("redis", running.endpoint).partition("(")[2]
    assert running.about.endswith(f"; {shown}")
    expected = "no persistence" if persistence in {"", "none"} else f"persistence {persistence}"
    assert shown == f"{expected})"
