"""Sends tasks with redis-py through one list: the reference for backends on Redis.

``python -m lab.backends.raw_redis`` is its worker.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lab.core.backend import Backend, setup_from_environment
from lab.core.model import BackendContext, Capability, Command, Service, Task, Variant
from lab.core.outcomes import AckMeans, Contract
from lab.worker import execution

if TYPE_CHECKING:
    from redis import Redis

QUEUE = "tasks"
# The sizes of messages, after those of a no-op in Redis: 1,025 bytes of Celery, 406 of RQ, 410 of
# django-q2, 603 of django-tasks in RQ, 328 of dramatiq, 161 of huey and 167 of taskiq (measured; a
# test measures them again).
SIZES = {1_000: "", 600: "medium", 400: "small", 330: "smaller", 160: "smallest"}
WITH_PIPELINES = (1_000, 400)


def _variant(depth: int, message_bytes: int) -> Variant:
    offers, size = Capability.BATCH, SIZES[message_bytes]
    name = f"{size}+pipelined-{depth}".removeprefix("+")
    summary = f"LPUSH; LMOVE and LREM: up to {depth} per round trip (redis-py docs, Pipelines)"
    if depth == 1:
        name, offers = size or "one-by-one", Capability.SUBMIT
        summary = "LPUSH; BLMOVE and LREM: one command per round trip (redis-py's README)"
    summary += f", {message_bytes} bytes per message."
    promised = frozenset({offers, Capability.PARALLEL, Capability.NODES})
    settings = {"depth": depth, "message_bytes": message_bytes}
    ack, contract = AckMeans.ACCEPTED, Contract.AT_MOST_ONCE
    return Variant(name, promised, summary, settings, ack_means=ack, contract=contract)


class RawRedis(Backend):
    """Pushes each task to one list; a worker moves it to its private list, runs it, and removes it.

    A task survives its worker, and a message has the same size, as in the backends that it bounds
    (METHOD M18, B3 and B4). One command per round trip shows the limit of a Python client,
    pipelines show the effect of batching; the limit of the server is higher than both.
    """

    family = "reference"
    summary = "redis-py on one list: the reference for backends on Redis"
    packages = ("redis",)
    extra = "rq"
    services = (Service.REDIS,)
    variants = (
        *(_variant(depth, size) for size in WITH_PIPELINES for depth in (1, 10, 100)),
        *(_variant(1, size) for size in SIZES if size not in WITH_PIPELINES),
    )

    def start(self) -> None:
        """Create the client; it connects with the first task."""
        self._redis = _client(self.setup)

    def submit(self, task: Task) -> None:
        """Push the task, and wait for the server's reply."""
        self._redis.lpush(QUEUE, self._packed(task))

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Push `depth` tasks per round trip, a setting of the variant."""
        depth = self.setup.settings["depth"]
        for first in range(0, len(tasks), depth):
            # A transaction would add MULTI and EXEC to each round trip (redis-py docs, Pipelines).
            pipeline = self._redis.pipeline(transaction=False)
            for task in tasks[first : first + depth]:
                pipeline.lpush(QUEUE, self._packed(task))
            pipeline.execute()

    def _packed(self, task: Task) -> bytes:
        """Return the task as a message, padded with zero bytes, which `pickle` ignores."""
        message = pickle.dumps((task.id, task.function, task.argument))
        return message.ljust(self.setup.settings["message_bytes"], b"\0")

    def stop(self) -> None:
        """Close the connection."""
        self._redis.close()

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot."""
        worker = Command((sys.executable, "-m", __name__), slots=1)
        return [worker] * setup.topology.workers_per_node


def _client(setup: BackendContext) -> Redis:
    import redis

    # Without this, redis-py ends a blocking read after 5 s.
    return redis.Redis.from_url(setup.endpoints[Service.REDIS], socket_timeout=None)


def serve(setup: BackendContext) -> None:
    """Move, run and remove tasks until this process is terminated."""
    client, taken = _client(setup), f"taken-{uuid4().hex}"
    depth, workers = setup.settings["depth"], setup.topology.workers
    while True:
        message: Any = client.blmove(QUEUE, taken, 0, "RIGHT", "LEFT")
        if depth == 1:
            _run(message)
            client.lrem(taken, 1, message)
            continue
        # Limited to its share of the queue, because one worker could empty a short queue.
        share = client.llen(QUEUE) // workers
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(depth - 1, share)):
            pipeline.lmove(QUEUE, taken, "RIGHT", "LEFT")
        # LMOVE returns None if other workers have emptied the list in the meantime.
        messages = [message, *filter(None, pipeline.execute())]
        for message in messages:
            _run(message)
            pipeline.lrem(taken, 1, message)
        pipeline.execute()


def _run(message: bytes) -> None:
    try:
        execution.execute(*pickle.loads(message))  # noqa: S301 (a message of the driver, from the trial's server)
    except Exception:  # noqa: BLE001 (an exception of a task must not end its worker)
        traceback.print_exc()


if __name__ == "__main__":
    serve(setup_from_environment())
