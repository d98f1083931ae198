"""dramatiq with its own worker command, on Redis or RabbitMQ, without and with results."""

from __future__ import annotations

import os
import sys
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from tests.fidelity import stamps

NAME = "tests.fidelity.with_dramatiq"
VARIANT, URL = "FIDELITY_VARIANT", "FIDELITY_URL"
ON_REDIS = ("processes", "processes+results", "threads", "threads+results+asyncio")
ON_RABBITMQ = ("processes+rabbitmq", "processes+rabbitmq+priorities")


def broker_of(extras: list[str], url: str) -> Any:
    """Return the broker of a variant."""
    if "rabbitmq" in extras:
        return RabbitmqBroker(
            url=url.removesuffix("/"), max_priority=5 if "priorities" in extras else None
        )
    client = redis.Redis.from_url(url, socket_timeout=None)
    broker = RedisBroker(client=client)
    if "results" in extras:
        broker.add_middleware(Results(backend=RedisBackend(client=client), store_results=True))
    if "asyncio" in extras:
        broker.add_middleware(AsyncIO())
    return broker


def noop(number: int) -> int | None:
    """Stamp, and return the argument if results are stored: otherwise, dramatiq warns."""
    stamps.stamp()
    return number if "results" in os.environ[VARIANT] else None


def main() -> None:
    """Start the worker command, warm it up, send all messages and wait for them."""
    given = stamps.options(__doc__, *ON_REDIS, *ON_RABBITMQ)
    pool, *extras = given.variant.split("+")
    os.environ[VARIANT] = given.variant
    os.environ[URL] = given.rabbitmq if "rabbitmq" in extras else given.redis
    actor = dramatiq.actor(noop, broker=broker_of(extras, os.environ[URL]))
    processes, threads = (1, given.workers) if pool == "threads" else (given.workers, 1)
    command = [sys.executable, "-m", "dramatiq", f"{NAME}:broker"]
    command += ["--processes", str(processes), "--threads", str(threads)]
    with stamps.file(), stamps.workers([command], given.worker_cpus):
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                actor.send(number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
elif VARIANT in os.environ:
    broker = broker_of(os.environ[VARIANT].split("+"), os.environ[URL])
    dramatiq.actor(noop, broker=broker)
