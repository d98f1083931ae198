"""Celery with its own worker command, by pool, without and with a result backend."""

from __future__ import annotations

import os
import sys

from celery import Celery

from tests.fidelity import stamps

NAME = "tests.fidelity.with_celery"
POOLS = ("prefork", "threads", "gevent", "solo")
WITH_RESULTS = ("prefork+results", "threads+results", "gevent+results")
PRIORITIES, QUEUE_TYPE = "FIDELITY_PRIORITIES", "FIDELITY_QUEUE_TYPE"
ON_RABBITMQ = (
    *("prefork+rabbitmq", "prefork+rabbitmq+priorities", "prefork+rabbitmq+quorum"),
    *("threads+rabbitmq", "gevent+rabbitmq"),
)
# Celery takes both addresses from the variables that `main` sets.
app = Celery(NAME)
app.conf.task_queue_max_priority = int(os.environ.get(PRIORITIES, "0")) or None
app.conf.task_default_queue_type = os.environ.get(QUEUE_TYPE, "classic")


@app.task  # type: ignore[untyped-decorator]
def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Start a worker, warm it up, send all tasks and wait for them."""
    given = stamps.options(__doc__, *POOLS, *WITH_RESULTS, *ON_RABBITMQ)
    pool, *extras = given.variant.split("+")
    os.environ["CELERY_BROKER_URL"] = given.rabbitmq if "rabbitmq" in extras else given.redis
    if "results" in extras:
        os.environ["CELERY_RESULT_BACKEND"] = given.redis
    if "priorities" in extras:
        os.environ[PRIORITIES], app.conf.task_queue_max_priority = "10", 10
    if "quorum" in extras:
        os.environ[QUEUE_TYPE] = app.conf.task_default_queue_type = "quorum"
    command = [sys.executable, "-m", "celery", "-A", NAME, "worker"]
    command += ["--pool", pool, "--concurrency", str(given.workers), "--hostname"]
    # `solo` runs one task at a time, so it has as many workers.
    commands = [[*command, f"{n}@%h"] for n in range(given.workers if pool == "solo" else 1)]
    with stamps.file(), stamps.workers(commands, given.worker_cpus):
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                noop.delay(number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
