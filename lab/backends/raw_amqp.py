"""Sends tasks with py-amqp through one queue: the reference for backends on RabbitMQ.

``python -m lab.backends.raw_amqp`` is its worker.
"""

from __future__ import annotations

import math
import pickle
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from lab.core.backend import Backend, setup_from_environment
from lab.core.model import BackendContext, Capability, Command, Service, Task, Variant
from lab.core.outcomes import AckMeans, Contract
from lab.worker import execution

QUEUE = "tasks"
# The delivery mode of AMQP 0-9-1, and Celery's default.
PERSISTENT = 2
# As large as a message of Celery: see `SIZES` of `raw_redis` (METHOD M18).
MESSAGE_BYTES = 1_000
IDLE_S = 0.001


class RawAmqp(Backend):
    """Publishes each task to one durable queue; a worker gets a task, runs it, and acknowledges it.

    Messages are persistent, and publishing is unconfirmed, as in Celery's defaults (METHOD M18,
    B6).
    """

    family = "reference"
    summary = "py-amqp on one queue: the reference for backends on RabbitMQ"
    packages = ("amqp",)
    extra = "celery"
    services = (Service.RABBITMQ,)
    variants = (
        Variant(
            "get",
            frozenset({Capability.SUBMIT, Capability.PARALLEL, Capability.NODES}),
            "basic.publish; basic.get and basic.ack, one message at a time (AMQP 0-9-1).",
            ack_means=AckMeans.SOCKET,
            contract=Contract.AT_LEAST_ONCE,
        ),
    )

    def start(self) -> None:
        """Connect and declare the queue."""
        self._connection, self._channel = _connect(self.setup)

    def submit(self, task: Task) -> None:
        """Publish the task in a message of about the size of Celery's."""
        from amqp import Message

        body = pickle.dumps((task.id, task.function, task.argument)).ljust(MESSAGE_BYTES, b"\0")
        message = Message(body, delivery_mode=PERSISTENT)
        self._channel.basic_publish(message, routing_key=QUEUE)

    def stop(self) -> None:
        """Close the connection."""
        self._connection.close()

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return infinity: without heartbeats, only the end of the connection shows the death."""
        return math.inf

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot."""
        worker = Command((sys.executable, "-m", __name__), slots=1)
        return [worker] * setup.topology.workers_per_node


def _connect(setup: BackendContext) -> tuple[Any, Any]:
    import amqp

    at = urlsplit(setup.endpoints[Service.RABBITMQ])
    connection = amqp.Connection(f"{at.hostname}:{at.port}", at.username, at.password)
    connection.connect()
    channel = connection.channel()
    # By default, py-amqp declares a queue that RabbitMQ deletes with its last consumer.
    channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    return connection, channel


def serve(setup: BackendContext) -> None:
    """Get, run and acknowledge tasks until this process is terminated."""
    _, channel = _connect(setup)
    while True:
        if (message := channel.basic_get(QUEUE)) is None:
            time.sleep(IDLE_S)
            continue
        try:
            execution.execute(*pickle.loads(message.body))  # noqa: S301 (a message of the driver, from the trial's server)
        except Exception:  # noqa: BLE001 (an exception of a task must not end its worker)
            traceback.print_exc()
        # Also after an exception: RabbitMQ would deliver an unacknowledged message again.
        channel.basic_ack(message.delivery_tag)


if __name__ == "__main__":
    serve(setup_from_environment())
