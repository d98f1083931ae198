"""Ceilings of what passes Redis carry messages as large as the systems' own (METHOD M18, B3)."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.core.backend import ceilings_of, services_of
from lab.core.model import Service, Task, Topology
from lab.host import processes
from lab.planning import registry
from lab.providers.servers import RedisService
from workloads import noop

N = 20
PASS_REDIS = ["celery", "django-q", "django-rq", "rq"]


def test_every_system_of_redis_alone_is_asked() -> None:
    """A new one is measured too."""
    found = {
        name
        for name, backend in registry.backends().items()
        for variant in backend.variants
        if backend.family != "reference"
        and "raw-redis" in str(ceilings_of(backend, variant.name)[:1])
    }
    assert sorted(found) == PASS_REDIS


@pytest.mark.parametrize("name", PASS_REDIS)
def test_a_ceilings_message_is_as_large_as_the_systems_own(name: str, tmp_path: Path) -> None:
    """What a no-op adds to Redis where nobody takes it: entries of lists, fields of hashes."""
    system = registry.select(name)
    ceiling = registry.select(registry.ceiling(name))
    assert services_of(system.backend, system.variant) == (Service.REDIS,)
    running = RedisService().start(tmp_path, (), {processes.OWNER: processes.owner()}, "p")
    try:
        with redis.Redis.from_url(running.endpoint) as server:
            kept = {one.name: _kept_by(one, running.endpoint, server) for one in (system, ceiling)}
    finally:
        processes.stop(running.process)
    assert kept["raw-redis"] == pytest.approx(kept[name], rel=0.1)


def _kept_by(chosen: registry.Selected, endpoint: str, server: redis.Redis) -> float:
    """Return bytes a task."""
    server.flushall()
    # In a process of its own: Django takes its settings once.
    fresh = multiprocessing.get_context("spawn").Process(
        target=submit, args=(chosen.label, endpoint)
    )
    fresh.start()
    fresh.join()
    assert fresh.exitcode == 0
    return sum(_sizes(server)) / N


def submit(label: str, endpoint: str) -> None:
    """Have a system take some no-ops."""
    chosen = registry.select(label)
    setup = registry.setup(chosen, Topology(1, 1, 1), {Service.REDIS: endpoint})
    backend = chosen.backend(setup)
    backend.start()
    for number in range(N):
        backend.submit(Task(1_000_000 + number, f"{noop.__name__}:run", number))
    backend.stop()


def _sizes(server: redis.Redis) -> list[int]:
    """Measure what stands in the lists and hashes; sets only name the queues."""
    found: list[int] = []
    for key in server.scan_iter():
        kind: Any = server.type(key)
        if kind == b"list":
            found += map(len, server.lrange(key, 0, -1))
        elif kind == b"hash":
            found += (len(part) for pair in server.hgetall(key).items() for part in pair)
    return found
