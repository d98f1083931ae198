"""huey with its own consumer, by worker type, on Redis, SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import huey as package
import redis

from tests.fidelity import stamps

NAME = "tests.fidelity.with_huey"
VARIANT, ADDRESS = "FIDELITY_VARIANT", "FIDELITY_ADDRESS"
ON_REDIS = ("thread", "process", "greenlet", "process+priorities")
VARIANTS = (*ON_REDIS, "process+sqlite", "process+postgres")


def app_of(variant: str, address: str) -> Any:
    """Return the app of a variant."""
    if variant.endswith("+sqlite"):
        return package.SqliteHuey("fidelity", filename=address, store_none=True)
    if variant.endswith("+postgres"):
        return package.PostgresHuey("fidelity", dsn=address, store_none=True)
    is_sorted = variant.endswith("+priorities")
    kind = package.PriorityRedisHuey if is_sorted else package.RedisHuey
    pool = redis.ConnectionPool.from_url(address, socket_timeout=None)
    return kind("fidelity", connection_pool=pool, store_none=True)


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


# The name of a task begins with its module, which is `__main__` where this runs as a script.
noop.__module__ = NAME


def main() -> None:
    """Start the consumer, warm it up, enqueue all tasks and wait for them."""
    given = stamps.options(__doc__, *VARIANTS)
    worker_type, *extras = given.variant.split("+")
    patched = ["gevent.monkey", "--module"] if worker_type == "greenlet" else []
    command = [sys.executable, "-m", *patched, "huey.bin.huey_consumer", f"{NAME}.huey"]
    command += ["--worker-type", worker_type, "--workers", str(given.workers)]
    with tempfile.TemporaryDirectory() as folder:
        address = given.postgres if "postgres" in extras else given.redis
        address = str(Path(folder) / "huey.db") if "sqlite" in extras else address
        os.environ[VARIANT], os.environ[ADDRESS] = given.variant, address
        enqueue = app_of(given.variant, address).task(name="noop")(noop)
        with stamps.file(), stamps.workers([command], given.worker_cpus):
            for tasks in (20 * given.workers, given.tasks):
                for number in range(tasks):
                    enqueue(number)
                instants = stamps.wait_for(tasks)
        stamps.report(instants)


if __name__ == "__main__":
    main()
elif VARIANT in os.environ:
    huey = app_of(os.environ[VARIANT], os.environ[ADDRESS])
    huey.task(name="noop")(noop)
