"""Tests that the references on Redis have messages of the same size as the backends (M18, B3)."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.core.backend import references_of, services_of
from lab.core.model import Service, Task, Topology
from lab.host import processes
from lab.planning import registry
from lab.providers.servers import RedisService
from workloads import noop

N = 20
ON_REDIS = [
    "celery",
    "django-q",
    "django-rq",
    "django-tasks[rq]",
    "dramatiq",
    "huey",
    "rq",
    "taskiq",
]


def test_list_contains_every_backend_with_a_reference_on_redis() -> None:
    """A new backend must be added to the list, so that it is measured."""
    names = {
        name
        for name, backend in registry.backends().items()
        for variant in backend.variants
        if backend.family != "reference"
        and "raw-redis" in str(references_of(backend, variant.name)[:1])
    }
    assert sorted(names) == [label.partition("[")[0] for label in ON_REDIS]


@pytest.mark.parametrize("label", ON_REDIS)
def test_message_of_the_reference_is_as_large_as_the_backends(label: str, tmp_path: Path) -> None:
    """The size is that of a waiting no-op in Redis: entries of lists, and fields of hashes."""
    backend = registry.select(label)
    reference = registry.select(registry.reference(label))
    assert services_of(backend.backend, backend.variant) == (Service.REDIS,)
    running = RedisService().start(tmp_path, (), {processes.OWNER: processes.owner()}, "p")
    try:
        with redis.Redis.from_url(running.endpoint) as server:
            sizes = {
                chosen.name: _bytes_per_task(chosen, running.endpoint, server)
                for chosen in (backend, reference)
            }
    finally:
        processes.stop(running.process)
    assert sizes["raw-redis"] == pytest.approx(sizes[backend.name], rel=0.1)


def _bytes_per_task(chosen: registry.SelectedBackend, endpoint: str, server: redis.Redis) -> float:
    """Return the bytes in Redis per task."""
    server.flushall()
    # In a separate process, because Django can be set up only once.
    fresh = multiprocessing.get_context("spawn").Process(
        target=submit, args=(chosen.label, endpoint)
    )
    fresh.start()
    fresh.join()
    assert fresh.exitcode == 0
    return sum(_sizes(server)) / N


def submit(label: str, endpoint: str) -> None:
    """Submit some no-op tasks, which no worker takes."""
    chosen = registry.select(label)
    setup = registry.setup(chosen, Topology(1, 1, 1), {Service.REDIS: endpoint})
    backend = chosen.backend(setup)
    backend.start()
    for number in range(N):
        backend.submit(Task(1_000_000 + number, f"{noop.__name__}:run", number))
    backend.stop()


def _sizes(server: redis.Redis) -> list[int]:
    """Return the sizes in lists, streams and hashes; sets contain only the names of queues."""
    sizes: list[int] = []
    for key in server.scan_iter():
        kind: Any = server.type(key)
        if kind == b"list":
            sizes += map(len, server.lrange(key, 0, -1))
        elif kind == b"stream":
            entries: Any = server.xrange(key)
            sizes += (len(part) for _, e in entries for pair in e.items() for part in pair)
        elif kind == b"hash":
            sizes += (len(part) for pair in server.hgetall(key).items() for part in pair)
    return sizes
