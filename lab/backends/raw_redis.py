"""redis-py and one list, and nothing else: what no system can beat whose tasks pass Redis.

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
from lab.core.model import Capability, Command, Service, Setup, Task, Variant
from lab.worker import execution

if TYPE_CHECKING:
    from redis import Redis

QUEUE = "tasks"
# What a system keeps in Redis of a no-op: seen are 1,025 bytes of Celery, 406 of RQ and 410 of
# django-q2. A test looks again.
LARGE, SMALL = 1_000, 400


def _variant(depth: int, message_bytes: int) -> Variant:
    name, offers = f"pipelined-{depth}", Capability.BATCH
    summary = f"LPUSH; LMOVE and LREM: up to {depth} a round trip (redis-py docs, Pipelines)"
    if depth == 1:
        name, offers = "one-by-one", Capability.SUBMIT
        summary = "LPUSH; BLMOVE and LREM: one command a round trip (redis-py's README)"
    if message_bytes == SMALL:
        name = "small" if depth == 1 else f"small+{name}"
    summary += f", {message_bytes} bytes a message."
    promised = frozenset({offers, Capability.PARALLEL, Capability.NODES})
    return Variant(name, promised, summary, {"depth": depth, "message_bytes": message_bytes})


class RawRedis(Backend):
    """Pushes each task to one list; workers move it to a list of their own, run it, and remove it.

    So a task survives its worker, as with the systems that it is the ceiling of (METHOD M18, B3 and
    B4), and a message is as large as theirs. One command a round trip shows what a client in Python
    can reach, pipelines what batching would buy; what the broker itself can do is more than either.
    """

    family = "reference"
    summary = "redis-py on one list: the ceiling of what passes Redis"
    packages = ("redis",)
    extra = "rq"
    services = (Service.REDIS,)
    variants = tuple(_variant(depth, size) for size in (LARGE, SMALL) for depth in (1, 10, 100))

    def start(self) -> None:
        """Make the client; it connects with the first task."""
        self._redis = _client(self.setup)

    def submit(self, task: Task) -> None:
        """Push the task, and wait until the server has it."""
        self._redis.lpush(QUEUE, self._packed(task))

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Push as many tasks a round trip as the variant says."""
        depth = self.setup.settings["depth"]
        for first in range(0, len(tasks), depth):
            pipeline = self._redis.pipeline(transaction=False)
            for task in tasks[first : first + depth]:
                pipeline.lpush(QUEUE, self._packed(task))
            pipeline.execute()

    def _packed(self, task: Task) -> bytes:
        """Write a task as a message, filled up with what `pickle` skips."""
        message = pickle.dumps((task.id, task.function, task.argument))
        return message.ljust(self.setup.settings["message_bytes"], b"\0")

    def stop(self) -> None:
        """Close the connection."""
        self._redis.close()

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return one worker for each slot."""
        worker = Command((sys.executable, "-m", __name__), slots=1)
        return [worker] * setup.topology.workers_per_node


def _client(setup: Setup) -> Redis:
    import redis

    # Without it, redis-py cuts a blocking read after 5 s.
    return redis.Redis.from_url(setup.endpoints[Service.REDIS], socket_timeout=None)


def serve(setup: Setup) -> None:
    """Take, run and remove tasks until this process is ended."""
    client, taken = _client(setup), f"taken-{uuid4().hex}"
    depth, workers = setup.settings["depth"], setup.topology.workers
    while True:
        message: Any = client.blmove(QUEUE, taken, 0, "RIGHT", "LEFT")
        if depth == 1:
            _run(message)
            client.lrem(taken, 1, message)
            continue
        # No more than its share of what waits, or one worker would have all of a short queue.
        share = client.llen(QUEUE) // workers
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(depth - 1, share)):
            pipeline.lmove(QUEUE, taken, "RIGHT", "LEFT")
        messages = [message, *filter(None, pipeline.execute())]
        for message in messages:
            _run(message)
            pipeline.lrem(taken, 1, message)
        pipeline.execute()


def _run(message: bytes) -> None:
    try:
        execution.execute(*pickle.loads(message))  # noqa: S301 (our own, from our own server)
    except Exception:  # noqa: BLE001 (a task that raises must not take its worker along)
        traceback.print_exc()


if __name__ == "__main__":
    serve(setup_from_environment())
