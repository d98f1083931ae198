"""taskiq with its own worker command, on Redis or RabbitMQ, without and with results."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from tests.fidelity import stamps

NAME = "tests.fidelity.with_taskiq"
VARIANT, URL = "FIDELITY_VARIANT", "FIDELITY_URL"
VARIANTS = (
    *("processes+stream", "processes+stream+results"),
    *("processes+list", "event-loop+list+results", "processes+rabbitmq"),
)


def broker_of(variant: str, url: str) -> Any:
    """Return the broker of a variant, with its task."""
    _, name, *extras = variant.split("+")
    broker: Any
    if name == "rabbitmq":
        broker = AioPikaBroker(url.removesuffix("/"))
    else:
        make = ListQueueBroker if name == "list" else RedisStreamBroker
        broker = make(url, socket_timeout=None)
    if "results" in extras:
        broker = broker.with_result_backend(RedisAsyncResultBackend(url))
    broker.register_task(noop, "noop")
    return broker


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


async def send(given: Any) -> list[int]:
    """Start the worker command, warm it up, send all messages and wait for them."""
    pool = given.variant.partition("+")[0]
    processes, places = (1, given.workers) if pool == "event-loop" else (given.workers, 1)
    command = [sys.executable, "-m", "taskiq", "worker", f"{NAME}:broker"]
    command += ["--workers", str(processes), "--max-async-tasks", str(places)]
    command += ["--max-threadpool-threads", str(places)]
    broker = broker_of(given.variant, os.environ[URL])
    await broker.startup()  # it creates the group of a stream, so that no message is before it
    task = broker.find_task("noop")
    with stamps.workers([command], given.worker_cpus):
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                await task.kiq(number)
            instants = stamps.wait_for(tasks)
    await broker.shutdown()
    return instants


def main() -> None:
    """Measure one variant."""
    given = stamps.options(__doc__, *VARIANTS)
    os.environ[VARIANT] = given.variant
    os.environ[URL] = given.rabbitmq if "rabbitmq" in given.variant else given.redis
    with stamps.file():
        stamps.report(asyncio.run(send(given)))


if __name__ == "__main__":
    main()
elif VARIANT in os.environ:
    broker = broker_of(os.environ[VARIANT], os.environ[URL])
