"""Runs tasks with taskiq on Redis lists, Redis streams or RabbitMQ: calls and coroutines."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from lab.core.asynchronous import AsyncBackend
from lab.core.backend import DEFAULT, setup_from_environment
from lab.core.faults import FaultKind
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
# The arguments of brokers on Redis.
OPTIONS = ("socket_timeout", "idle_timeout", "unacknowledged_lock_timeout", "xread_count")
SAVED, RECEIVED = {"ack_type": "when_saved"}, {"ack_type": "when_received"}
WHEN_SAVED = (
    "ack_type: a message is acknowledged when the result of its task has been saved, which is the "
    "default (taskiq docs, CLI, Acknowledgements)."
)
HEARTBEAT_S = 60.0  # of RabbitMQ
OF_WORKERS = (
    *(FaultKind.CHILD_KILL, FaultKind.WORKER_KILL, FaultKind.IDLE_WORKER_KILL),
    *(FaultKind.WORKER_TERM, FaultKind.WORKER_PAUSE, FaultKind.WORKER_OOM, FaultKind.NETWORK_CUT),
)


# Here, because taskiq renames each function that it registers.
def _execute(task_id: int, function: str, argument: Any) -> Any:
    return execution.execute(task_id, function, argument)


async def _execute_async(task_id: int, function: str, argument: Any) -> Any:
    return await execution.execute_async(task_id, function, argument)


# The name of a task, and what runs it.
RUNS: Mapping[Callable[..., Any], tuple[str, Callable[..., Any]]] = {
    execution.execute: ("execute", _execute),
    execution.execute_async: ("execute_async", _execute_async),
}


def _variant(name: str) -> Variant:
    pool, broker, *extras = name.split("+")
    processes, places = ("N", 1) if pool == "processes" else (1, "N")
    summary = f"`taskiq worker --workers {processes} --max-async-tasks {places}` (taskiq docs, CLI)"
    promised, settings = PROMISED, dict[str, Any](pool=pool, broker=broker)
    if broker == "rabbitmq":
        summary += " on RabbitMQ (README of taskiq-aio-pika)"
        more: dict[str, Any] = {"services": (Service.RABBITMQ,), "packages": ("taskiq_aio_pika",)}
        more |= {"references": ("raw-amqp",), "ack_means": AckMeans.CONFIRMED}
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
        self._broker = _make_broker(self.setup)
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
        name, _ = RUNS[execution.entry(task.function)]
        kicker = self._broker.find_task(name).kicker().with_labels(**labels)
        return self.call(kicker.kiq(task.id, task.function, task.argument))

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the result, which the client looks for every 0.2 s (docs, Getting started)."""
        from taskiq import TaskiqResultTimeoutError

        try:
            answer = self.call(handle.wait_result(timeout=timeout_s))
        except TaskiqResultTimeoutError as error:
            raise TimeoutError(f"There was no result after {timeout_s} s.") from error
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
        worker, broker = asdict(WorkerArgs.from_cli(command.argv[4:])), vars(self._broker)
        queues = {"queues": [asdict(queue) for queue in broker.get("_task_queues", ())]}
        return {**_plain(worker), **_plain(broker), **queues, **self.setup.settings}

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
        return HEARTBEAT_S if settings["broker"] == "rabbitmq" else math.inf

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the one worker command of a node."""
        slots, settings = setup.topology.workers_per_node, setup.settings
        processes, places = (slots, 1) if settings["pool"] == "processes" else (1, slots)
        argv = [sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"]
        argv += ["--workers", str(processes), "--max-async-tasks", str(places)]
        argv += ["--max-threadpool-threads", str(places)]
        if "ack_type" in settings:
            argv += ["--ack-type", settings["ack_type"]]
        return [Command(tuple(argv), slots)]

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the scheduler, of which only one may run (docs, Scheduling tasks)."""
        return [Command((sys.executable, "-m", "taskiq", "scheduler", f"{__name__}:scheduler"))]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values, without the address and the name that each process has."""
    plain = {k: v for k, v in values.items() if isinstance(v, bool | int | float | str | None)}
    return {k.lstrip("_"): v for k, v in plain.items() if k not in ("url", "consumer_name")}


def _make_broker(setup: BackendContext) -> Any:
    from taskiq import SimpleRetryMiddleware

    settings = setup.settings
    broker: Any
    if settings["broker"] == "rabbitmq":
        from taskiq_aio_pika import AioPikaBroker, Queue

        # A second slash, which is Kombu's name of the default, would be that of an unnamed host.
        url = setup.endpoints[Service.RABBITMQ].removesuffix("/")
        broker = AioPikaBroker(url, task_queues=[Queue()])
    else:
        from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

        make = ListQueueBroker if settings["broker"] == "list" else RedisStreamBroker
        options = {name: settings[name] for name in OPTIONS if name in settings}
        broker = make(setup.endpoints[Service.REDIS], queue_name=settings["broker"], **options)
        if "results" in settings:
            results = RedisAsyncResultBackend[Any](setup.endpoints[Service.REDIS])
            broker = broker.with_result_backend(results)
    for name, function in RUNS.values():
        broker.register_task(function, name)
    return broker.with_middlewares(SimpleRetryMiddleware())


@cache
def _worker_broker() -> Any:
    """Return the broker with the jobs too, which the scheduler reads from labels."""
    setup = setup_from_environment()
    broker = _make_broker(setup)
    for job in setup.jobs:
        due = {"cron": job.cron} if job.cron else {"interval": round(job.every_s)}
        label = {**due, "args": [job.id, job.function, job.argument]}
        _, function = RUNS[execution.entry(job.function)]
        broker.register_task(function, f"job_{job.id}", schedule=[label])
    return broker


def __getattr__(name: str) -> Any:  # PEP 562: listing backends must not need an address
    if name == "broker":
        return _worker_broker()
    if name == "scheduler":
        from taskiq import TaskiqScheduler
        from taskiq.schedule_sources import LabelScheduleSource

        return TaskiqScheduler(_worker_broker(), [LabelScheduleSource(_worker_broker())])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
