"""RQ with its own worker commands, by worker class."""

from __future__ import annotations

import sys

from redis import Redis
from rq import Queue

from tests.fidelity import stamps

CLASSES = {
    "worker": "rq.worker.Worker",
    "simple-worker": "rq.worker.SimpleWorker",
    "simple-worker+scheduler": "rq.worker.SimpleWorker",
    "spawn-worker": "rq.worker.SpawnWorker",
}


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Start one worker process a slot, or a pool, warm up, enqueue all tasks and wait for them."""
    given = stamps.options(__doc__, *CLASSES, "worker-pool")
    rq = [sys.executable, "-m", "rq.cli"]
    if given.variant == "worker-pool":
        commands = [[*rq, "worker-pool", "--url", given.redis, "-n", str(given.workers)]]
    else:
        worker = ["worker", "--url", given.redis, "--worker-class", CLASSES[given.variant]]
        beside = ["--with-scheduler"] * given.variant.endswith("+scheduler")
        commands = [[*rq, *worker, *beside]] * given.workers
    queue = Queue(connection=Redis.from_url(given.redis))
    with stamps.file(), stamps.workers(commands, given.worker_cpus):
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                # By name: RQ refuses functions of the script that was started.
                queue.enqueue("tests.fidelity.with_rq.noop", number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
