"""redis-py and one list, and nothing else: what no system can beat whose tasks pass Redis.

``python -m lab.backends.raw_redis`` is its worker.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lab import kernel
from lab.backend import Backend, setup_from_environment
from lab.model import Capability, Command, Service, Setup, Task, Variant

if TYPE_CHECKING:
    from redis import Redis

QUEUE = "tasks"
# About what Celery sends for a no-op (seen: 1,019 bytes, headers included), and RQ keeps of a job.
MESSAGE_BYTES = 1_000
SPREAD = {Capability.PARALLEL, Capability.NODES}
ONE_BY_ONE = "LPUSH; BLMOVE and LREM: one command a round trip (redis-py's README)."


def _pipelined(depth: int) -> Variant:
    summary = f"The same commands, up to {depth} a round trip (redis-py docs, Pipelines)."
    promised = frozenset({Capability.BATCH, *SPREAD})
    return Variant(f"pipelined-{depth}", promised, summary, {"depth": depth})


class RawRedis(Backend):
    """Pushes each task to one list; workers move it to a list of their own, run it, and remove it.

    So a task survives its worker, as with the systems that it is the ceiling of (METHOD M18, B3 and
    B4). One command a round trip shows what a client in Python can reach, pipelines what batching
    would buy; what the broker itself can do is more than either.
    """

    family = "reference"
    summary = "redis-py on one list: the ceiling of what passes Redis"
    packages = ("redis",)
    extra = "rq"
    services = (Service.REDIS,)
    variants = (
        Variant("one-by-one", frozenset({Capability.SUBMIT, *SPREAD}), ONE_BY_ONE, {"depth": 1}),
        _pipelined(10),
        _pipelined(100),
    )

    def start(self) -> None:
        """Make the client; it connects with the first task."""
        self._redis = _client(self.setup)

    def submit(self, task: Task) -> None:
        """Push the task, and wait until the server has it."""
        self._redis.lpush(QUEUE, packed(task))

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Push as many tasks a round trip as the variant says."""
        depth = self.setup.settings["depth"]
        for first in range(0, len(tasks), depth):
            pipeline = self._redis.pipeline(transaction=False)
            for task in tasks[first : first + depth]:
                pipeline.lpush(QUEUE, packed(task))
            pipeline.execute()

    def stop(self) -> None:
        """Close the connection."""
        self._redis.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the depth of the pipeline and the size of a message."""
        return {**self.setup.settings, "message_bytes": MESSAGE_BYTES}

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return one worker for each slot."""
        worker = Command((sys.executable, "-m", __name__), slots=1)
        return [worker] * setup.topology.workers_per_node


def packed(task: Task) -> bytes:
    """Write a task as a message, no smaller than those of the systems; `pickle` skips the rest."""
    return pickle.dumps((task.id, task.function, task.argument)).ljust(MESSAGE_BYTES, b"\0")


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
        kernel.execute(*pickle.loads(message))  # noqa: S301 (our own, from our own server)
    except Exception:  # noqa: BLE001 (a task that raises must not take its worker along)
        traceback.print_exc()


if __name__ == "__main__":
    serve(setup_from_environment())
