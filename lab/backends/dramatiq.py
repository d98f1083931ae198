"""Runs tasks with dramatiq on Redis or RabbitMQ: in worker processes, or in threads of one."""

from __future__ import annotations

import math
import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lab.backends import _dramatiq, _rabbitmq
from lab.core.backend import DEFAULT, Backend
from lab.core.faults import OF_WORKERS, FaultKind
from lab.core.in_time import in_time
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Profile,
    Serializer,
    Service,
    Task,
    Variant,
)
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.plain_values import plain_values
from lab.worker import execution

PROMISED = frozenset(
    {
        *(Capability.SUBMIT, Capability.PARALLEL, Capability.NODES),
        *(Capability.RETRY, Capability.RETRY_DELAY),
    }
)
# The chance of each command, in millionths, that it looks for dead workers.
ALWAYS = 1_000_000
# The time without a heartbeat after which a worker on Redis is offline.
OFFLINE_S = 60.0
REDELIVERED = (
    "Messages are acknowledged after they have been processed, and those of a dead worker are "
    "delivered again (dramatiq docs, Advanced Topics, Message Persistence)."
)
ON_REDIS = ("processes", "processes+results", "threads", "threads+results+asyncio")
ON_RABBITMQ = ("processes+rabbitmq", "processes+rabbitmq+priorities")


def _variant(name: str) -> Variant:
    pool, *extras = name.split("+")
    processes, threads = ("N", 1) if pool == "processes" else (1, "N")
    summary = f"`dramatiq --processes {processes} --threads {threads}` (User Guide, Workers)"
    settings: dict[str, Any] = {"pool": pool, "broker": Service.REDIS.value}
    promised, more = PROMISED, dict[str, Any](ack_means=AckMeans.ACCEPTED)
    if "results" in extras:
        promised |= {Capability.RESULT, Capability.GROUP, Capability.CHAIN}
        settings["results"] = Service.REDIS.value
        summary += ", results in Redis (Advanced Topics, Message Results)"
    if "asyncio" in extras:
        promised, settings["asyncio"] = promised | {Capability.AWAITS}, True
        summary += ", awaits coroutine functions (Cookbook, Asyncio Actors)"
    if "rabbitmq" in extras:
        settings["broker"] = Service.RABBITMQ.value
        more = {**_rabbitmq.VARIANT, "packages": ("pika",), "ack_means": AckMeans.SOCKET}
        summary += " on RabbitMQ (User Guide, RabbitMQ Broker)"
    if "priorities" in extras:
        # The value of the documentation's example.
        promised, settings["max_priority"] = promised | {Capability.PRIORITY}, 5
        summary += ", with a priority queue (API Reference, RabbitmqBroker)"
    return Variant(
        name,
        promised,
        f"{summary}.",
        settings,
        serializer=Serializer.PLAIN_JSON,
        sends_name=True,
        redelivers_failed=True,
        contract=Contract.AT_LEAST_ONCE,
        **more,
    )


class Dramatiq(Backend):
    """Sends each task as a message to an actor; each node runs one `dramatiq` command.

    It retries each task that raises, by default 20 times, after 15 s or more. If a worker process
    dies, the command stops the others and ends. Priorities of actors order only the messages that a
    worker has prefetched: those of queues need RabbitMQ (User Guide, Prioritizing Messages).
    """

    family = "dramatiq"
    references = ("raw-redis[smaller]",)
    summary = "dramatiq on Redis or RabbitMQ"
    packages = ("dramatiq", "redis")
    extra = "dramatiq"
    services = (Service.REDIS,)
    by_default = False
    variants = tuple(map(_variant, (*ON_REDIS, *ON_RABBITMQ)))
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"maintenance_chance": ALWAYS},
            f"{REDELIVERED} maintenance_chance: each command of a worker looks for workers without "
            "a heartbeat for 60 s; by default it is one in a thousand, so that the delay has no "
            "bound (API Reference, RedisBroker).",
            ON_REDIS,
            safe_against=OF_WORKERS,
        ),
        Profile(
            "safe",
            {"confirm_delivery": True},
            f"{REDELIVERED} confirm_delivery: each submit call waits until RabbitMQ has confirmed "
            "that the message has been committed (API Reference, RabbitmqBroker).",
            ON_RABBITMQ,
            ack_means=AckMeans.CONFIRMED,
            safe_against=(*OF_WORKERS, FaultKind.BROKER_KILL, FaultKind.BROKER_PAUSE),
        ),
    )

    def start(self) -> None:
        """Create the broker with its actors; it connects with the first message."""
        self._broker = _dramatiq.make_broker(self.setup)

    def submit(self, task: Task) -> Any:
        """Send the message and return it."""
        return self._broker.enqueue(self._message(task))

    def _message(self, task: Task, **options: Any) -> Any:
        actor = self._broker.get_actor(execution.entry(task.function).__name__)
        return actor.message_with_options(args=task.arguments, **options)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Send it to the actor that requests its retry (API Reference, Retry)."""
        actor = self._broker.get_actor(_dramatiq.RETRY)
        return actor.send(round(delay_s * 1e3), *task.arguments)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Send it with a priority: RabbitMQ delivers the highest first."""
        highest = self.setup.settings["max_priority"]
        return self._broker.enqueue(self._message(task, broker_priority=highest * urgent))

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Run a group (Cookbook, Composition, Groups)."""
        from dramatiq import group

        return group(map(self._message, tasks), broker=self._broker).run()

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Run a pipeline that passes no results on (Cookbook, Composition, Pipelines)."""
        from dramatiq import pipeline

        messages = (self._message(task, pipe_ignore=True) for task in tasks)
        return pipeline(messages, broker=self._broker).run()

    def join(self, handle: Any, timeout_s: float) -> None:
        """Wait for the group, or for the result of the pipeline (Cookbook, Composition)."""
        is_group = hasattr(handle, "wait")
        _awaited(handle.wait if is_group else partial(handle.get_result, block=True), timeout_s)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the result, in a blocking call of Redis (API Reference, Message)."""
        wait = partial(handle.get_result, backend=self._broker.get_results_backend(), block=True)
        return _awaited(wait, timeout_s)

    def state_of(self, handle: Any) -> TaskState:
        """Return the state of a task with a result; dramatiq reports no others."""
        from dramatiq.results import ResultFailure, ResultMissing

        if "results" not in self.setup.settings:
            return TaskState.UNKNOWN
        try:
            handle.get_result(backend=self._broker.get_results_backend())
        except ResultMissing:
            return TaskState.UNKNOWN
        except ResultFailure:
            return TaskState.FAILED
        return TaskState.FINISHED

    def stop(self) -> None:
        """Close the connections."""
        self._broker.close()
        if self.setup.settings["broker"] == Service.REDIS:
            self._broker.client.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of broker, middleware and workers, with the default start method."""
        from dramatiq import worker

        of_each = self._broker.middleware
        middleware = {type(each).__name__: plain_values(vars(each)) for each in of_each}
        # 0 means twice the number of threads (API Reference, Environment Variables).
        fixed = {"queue_prefetch": worker.QUEUE_PREFETCH, "worker_timeout": worker.WORKER_TIMEOUT}
        fixed["start_method"] = multiprocessing.get_start_method()
        # The id of the broker differs in each trial.
        broker = plain_values(vars(self._broker), ("broker_id",))
        return {**broker, **fixed, "middleware": middleware, **self.setup.settings}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the heartbeat timeout of RabbitMQ or, on Redis, that of the workers.

        On Redis, a random command finds the messages of dead workers, which has no bound unless
        each command does: idle workers send one in a second or less.
        """
        if settings["broker"] == Service.RABBITMQ:
            return _rabbitmq.HEARTBEAT_S
        return OFFLINE_S + 1.0 if settings.get("maintenance_chance") == ALWAYS else math.inf

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the one command of a node."""
        slots = setup.topology.workers_per_node
        processes, threads = (slots, 1) if setup.settings["pool"] == "processes" else (1, slots)
        # An empty `--path`: by default, modules of the current folder replace installed ones.
        argv = [sys.executable, "-m", "dramatiq", f"{_dramatiq.__name__}:broker", "--path"]
        return [Command((*argv, "--processes", str(processes), "--threads", str(threads)), slots)]


def _awaited(wait: Callable[..., Any], timeout_s: float) -> Any:
    from dramatiq.results import ResultTimeout

    with in_time(timeout_s, ResultTimeout):
        # Whole seconds, and 0 would mean not to wait at all (source of the Redis backend).
        return wait(timeout=max(1, round(timeout_s)) * 1_000)
