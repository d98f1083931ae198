"""Runs tasks with taskiq on Redis lists, Redis streams or RabbitMQ: calls and coroutines."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lab.backends import _rabbitmq, _taskiq
from lab.core.asynchronous import AsyncBackend
from lab.core.backend import DEFAULT
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
        *(Capability.AWAITS, Capability.RETRY, Capability.SCHEDULE),
    }
)
ON_STREAM = ("processes+stream", "processes+stream+results")
ON_LIST = ("processes+list", "event-loop+list+results")
ON_RABBITMQ = ("processes+rabbitmq",)
SAVED, RECEIVED = {"ack_type": "when_saved"}, {"ack_type": "when_received"}
WHEN_SAVED = (
    "ack_type: a message is acknowledged when the result of its task has been saved, which is the "
    "default (taskiq docs, CLI, Acknowledgements)."
)


def _variant(name: str) -> Variant:
    pool, broker, *extras = name.split("+")
    processes, places = ("N", 1) if pool == "processes" else (1, "N")
    summary = f"`taskiq worker --workers {processes} --max-async-tasks {places}` (taskiq docs, CLI)"
    promised, settings = PROMISED, dict[str, Any](pool=pool, broker=broker)
    if broker == "rabbitmq":
        summary += " on RabbitMQ (README of taskiq-aio-pika)"
        more = {**_rabbitmq.VARIANT, "packages": ("taskiq_aio_pika",)}
        more |= {"ack_means": AckMeans.CONFIRMED}
    else:
        summary += f" on a Redis {broker} (README of taskiq-redis, Brokers)"
        more = {"packages": ("taskiq_redis",), "ack_means": AckMeans.ACCEPTED}
        # By default, redis-py ends a blocking read after 5 s, and the worker process with it.
        settings["socket_timeout"] = None
    if "results" in extras:
        summary += ", results in Redis (same, RedisAsyncResultBackend configuration)"
        promised, settings["results"] = promised | {Capability.RESULT}, Service.REDIS.value
    return Variant(
        name,
        promised,
        f"{summary}.",
        settings,
        serializer=Serializer.PLAIN_JSON,
        sends_name=True,
        contract=Contract.AT_MOST_ONCE if broker == "list" else Contract.AT_LEAST_ONCE,
        **more,
    )


class Taskiq(AsyncBackend):
    """Sends each task with `kiq`; each node runs one `taskiq worker`.

    A worker runs functions in threads and awaits coroutine functions; it replaces a child process
    that has died. A list forgets a message as soon as a worker takes it. The messages of a stream
    that a dead worker has not acknowledged wait until another has received a new message.
    """

    family = "taskiq"
    references = ("raw-redis[smallest]",)
    summary = "taskiq on Redis lists, Redis streams or RabbitMQ"
    packages = ("taskiq",)
    extra = "taskiq"
    services = (Service.REDIS,)
    by_default = False
    variants = tuple(map(_variant, (*ON_STREAM, *ON_LIST, *ON_RABBITMQ)))
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {**SAVED, "idle_timeout": 60_000, "xread_count": 1, "unacknowledged_lock_timeout": 60},
            f"{WHEN_SAVED} idle_timeout, in ms: another worker claims a message after a minute, "
            "not after ten. xread_count: a worker takes one message, not a hundred, of which none "
            "may wait in it for so long. unacknowledged_lock_timeout, in s: without it, the lock "
            "of a killed worker can remain locked for ever (docstring of RedisStreamBroker).",
            ON_STREAM,
            safe_against=OF_WORKERS,
        ),
        Profile(
            "safe",
            SAVED,
            f"{WHEN_SAVED} Its queues are quorum queues, messages are persistent, and publishing "
            "is confirmed by default (docstring of Queue; docs of aio-pika, Connection.channel).",
            ON_RABBITMQ,
            safe_against=(*OF_WORKERS, FaultKind.BROKER_KILL, FaultKind.BROKER_PAUSE),
        ),
        Profile(
            "when-received",
            RECEIVED,
            "ack_type: a message is acknowledged when a worker receives it, so that no task runs "
            "twice (taskiq docs, CLI, Acknowledgements).",
            (*ON_STREAM, *ON_RABBITMQ),
            contract=Contract.AT_MOST_ONCE,
        ),
    )

    async def open(self) -> None:
        """Start the broker, which connects to RabbitMQ, or creates the group of a stream."""
        self._broker = _taskiq.make_broker(self.setup)
        await self._broker.startup()

    async def close(self) -> None:
        """Close the connections."""
        await self._broker.shutdown()

    def submit(self, task: Task) -> Any:
        """Send the task, and return its `AsyncTaskiqTask`."""
        return self._send(task)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Send it with the label that requests retries (docs, Middlewares, Simple retry)."""
        return self._send(task, retry_on_error=True)

    def _send(self, task: Task, **labels: Any) -> Any:
        name, _ = _taskiq.RUNS[execution.entry(task.function)]
        kicker = self._broker.find_task(name).kicker().with_labels(**labels)
        return self.call(kicker.kiq(*task.arguments))

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the result, which the client looks for every 0.2 s (docs, Getting started)."""
        from taskiq import TaskiqResultTimeoutError

        with in_time(timeout_s, TaskiqResultTimeoutError):
            answer = self.call(handle.wait_result(timeout=timeout_s))
        return answer.raise_for_error().return_value

    def state_of(self, handle: Any) -> TaskState:
        """Return the state of a task with a result; taskiq reports no others."""
        if "results" not in self.setup.settings or not self.call(handle.is_ready()):
            return TaskState.UNKNOWN
        return TaskState.FAILED if self.call(handle.get_result()).is_err else TaskState.FINISHED

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of the worker command and of the broker, with their defaults."""
        from taskiq.cli.worker.args import WorkerArgs

        (command,) = self.node_commands(self.setup)
        worker = plain_values(asdict(WorkerArgs.from_cli(command.argv[4:])))
        # Without the address, and without the name that each process has.
        broker = plain_values(vars(self._broker), ("url", "consumer_name"))
        broker = {name.lstrip("_"): value for name, value in broker.items()}
        queues = [asdict(queue) for queue in getattr(self._broker, "_task_queues", ())]
        return {**worker, **broker, "queues": queues, **self.setup.settings}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the heartbeat timeout of RabbitMQ; a stream has no bound, and a list forgets.

        A worker claims the messages of others after it has received a new one, however long that
        takes.
        """
        is_early = settings.items() >= RECEIVED.items()
        if settings["broker"] == "list" or (is_started and is_early):
            return None
        return _rabbitmq.HEARTBEAT_S if settings["broker"] == "rabbitmq" else math.inf

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the one worker command of a node."""
        slots, settings = setup.topology.workers_per_node, setup.settings
        processes, places = (slots, 1) if settings["pool"] == "processes" else (1, slots)
        argv = [sys.executable, "-m", "taskiq", "worker", f"{_taskiq.__name__}:broker"]
        argv += ["--workers", str(processes), "--max-async-tasks", str(places)]
        argv += ["--max-threadpool-threads", str(places)]
        if "ack_type" in settings:
            argv += ["--ack-type", settings["ack_type"]]
        return [Command(tuple(argv), slots)]

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the scheduler, of which only one may run (docs, Scheduling tasks)."""
        scheduler = f"{_taskiq.__name__}:scheduler"
        return [Command((sys.executable, "-m", "taskiq", "scheduler", scheduler))]
