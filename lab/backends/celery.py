"""Runs tasks with Celery on Redis or RabbitMQ: each of its pools, with and without results."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from lab.backends import _celery, _rabbitmq
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
from lab.core.monitor import Monitor
from lab.core.outcomes import AckMeans, Contract, TaskState

PROMISED = {
    Capability.SUBMIT,
    Capability.NODES,
    Capability.PARALLEL,
    Capability.RETRY,
    Capability.RETRY_DELAY,
    Capability.PRIORITY,
    Capability.MONITOR,
}
REDIS, RABBITMQ = Service.REDIS.value, Service.RABBITMQ.value
# Names of variants: the pool, then its extras. The broker is Redis, except with `rabbitmq`.
ON_REDIS = (
    *("prefork", "prefork+results", "threads", "threads+results"),
    *("gevent", "gevent+results", "solo"),
)
WITH_RESULTS = ("prefork+results", "threads+results", "gevent+results")
ON_RABBITMQ = (
    *("prefork+rabbitmq", "prefork+rabbitmq+priorities", "prefork+rabbitmq+quorum"),
    "threads+rabbitmq",
)
# Separate, because its profile `tuned` also sets the heartbeat.
GEVENT_ON_RABBITMQ = "gevent+rabbitmq"
LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True}
LATE_WHY = (
    "task_acks_late: a message is deleted only after its task has run (Celery docs, Optimizing, "
    "Reserve one task at a time). task_reject_on_worker_lost: without it, the task of a killed "
    "pool process is acknowledged (Configuration)."
)
SOON = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
VISIBLE = {"broker_transport_options": {"visibility_timeout": 60, **SOON}}
VISIBLE_WHY = (
    "visibility_timeout: the task of a killed worker goes to another one after 60 s instead of "
    "3600 s, which is longer than any task of the lab waits and runs after its reservation (Using "
    "Redis, Visibility timeout). unacked_restore_interval and _throttle: Kombu looks for expired "
    "deliveries every second instead of every 100 s, as advised for low visibility timeouts (Kombu "
    "docs, kombu.transport.redis)."
)
CONFIRMED = {"broker_transport_options": {"confirm_publish": True}}
CONFIRMED_WHY = (
    "When a connection ends, RabbitMQ redelivers its unacknowledged messages (RabbitMQ docs, "
    "Consumer Acknowledgements, Automatic Requeueing). confirm_publish: the submit call waits for "
    "RabbitMQ's confirm, which it sends for a persistent message in a durable queue when it is on "
    "disk, for a quorum queue when a quorum has it; without it, messages in flight are lost with "
    "the broker (Kombu docs, kombu.transport.pyamqp; RabbitMQ docs, Publisher Confirms)."
)
PREFETCH = {"worker_prefetch_multiplier": 64}
PREFETCH_WHY = (
    "worker_prefetch_multiplier: with many short tasks, each slot should reserve many messages, "
    "such as 64 or 128, instead of 4 (Celery docs, Optimizing, Prefetch Limits)."
)

STATES: Mapping[str, TaskState] = {
    "STARTED": TaskState.RUNNING,
    "SUCCESS": TaskState.FINISHED,
    **dict.fromkeys(("FAILURE", "REVOKED"), TaskState.FAILED),
    **dict.fromkeys(("RECEIVED", "RETRY"), TaskState.QUEUED),
}


def _variant(name: str) -> Variant:
    pool, *extras = name.split("+")
    settings: dict[str, Any] = {"worker_pool": pool, "broker_url": REDIS}
    promised, ack, more = PROMISED, AckMeans.ACCEPTED, dict[str, Any]()
    summary = f"`celery worker --pool {pool}` (Celery docs, Concurrency)"
    if "results" in extras:
        # A chord needs a result backend (Canvas, Chords, Important Notes), and the lab detects the
        # end of a chain by the result of its last task.
        promised = promised | {Capability.RESULT, Capability.GROUP, Capability.CHAIN}
        settings["result_backend"] = REDIS
        summary += ", results in Redis (Using Redis, Results)"
    if "rabbitmq" in extras:
        # Without publisher confirms, AMQP has no reply to a published message.
        settings["broker_url"], ack, more = RABBITMQ, AckMeans.SOCKET, {**_rabbitmq.VARIANT}
        summary += " on RabbitMQ (Using RabbitMQ)"
    if "priorities" in extras:
        # The value of the documentation's example.
        settings["task_queue_max_priority"] = 10
        summary += ", with a priority queue (Routing, RabbitMQ Message Priorities)"
    elif more:
        promised = promised - {Capability.PRIORITY}
    if "quorum" in extras:
        settings["task_default_queue_type"] = "quorum"
        summary += ", with a quorum queue (Using RabbitMQ, Using Quorum Queues)"
    packages = ("gevent",) if pool == "gevent" else ()
    return Variant(
        name,
        frozenset(promised),
        f"{summary}.",
        settings,
        packages=packages,
        serializer=Serializer.JSON,
        sends_name=True,
        ack_means=ack,
        contract=Contract.AT_MOST_ONCE,
        **more,
    )


class Celery(Backend):
    """Sends each task with `delay`; each node runs one `celery worker` with a pool of its size.

    With `solo`, which runs tasks in the worker process itself, each slot is a worker. On Redis,
    each priority is a list, and workers of one queue read the lists in order of priority with any
    setting (observed; Kombu source, `_brpop_start`). On RabbitMQ, the queue must be declared with
    priorities.
    """

    family = "celery"
    references = ("raw-redis", "raw-redis[pipelined-10]", "raw-redis[pipelined-100]")
    summary = "Celery on Redis or RabbitMQ"
    packages = ("celery", "redis")
    extra = "celery"
    services = (Service.REDIS,)
    variants = tuple(map(_variant, (*ON_REDIS, *ON_RABBITMQ, GEVENT_ON_RABBITMQ)))
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            LATE | VISIBLE,
            f"{LATE_WHY} {VISIBLE_WHY}",
            ON_REDIS,
            contract=Contract.AT_LEAST_ONCE,
            safe_against=OF_WORKERS,
        ),
        Profile(
            "safe",
            LATE | CONFIRMED,
            f"{LATE_WHY} {CONFIRMED_WHY}",
            (*ON_RABBITMQ, GEVENT_ON_RABBITMQ),
            ack_means=AckMeans.CONFIRMED,
            contract=Contract.AT_LEAST_ONCE,
            # Only here: with Redis, the server's persistence decides, not a setting of Celery.
            safe_against=(*OF_WORKERS, FaultKind.BROKER_KILL, FaultKind.BROKER_PAUSE),
        ),
        Profile(
            "deduplicated",
            LATE | VISIBLE | {"worker_deduplicate_successful_tasks": True},
            f"{LATE_WHY} {VISIBLE_WHY} worker_deduplicate_successful_tasks: a worker drops a "
            "redelivered task whose result is a success; it needs late acknowledgements and a "
            "result backend (Configuration).",
            WITH_RESULTS,
            contract=Contract.AT_LEAST_ONCE,
            safe_against=OF_WORKERS,
        ),
        Profile("tuned", PREFETCH, PREFETCH_WHY, (*ON_REDIS, *ON_RABBITMQ)),
        Profile(
            "tuned",
            PREFETCH | {"broker_heartbeat": 0},
            f"{PREFETCH_WHY} broker_heartbeat: unless it is 0, a gevent worker waits 0.1 s for "
            "heartbeats after each message (Celery source, `synloop` in celery/worker/loops.py). "
            "With 0, only TCP detects a lost broker (Configuration).",
            (GEVENT_ON_RABBITMQ,),
        ),
    )

    def start(self) -> None:
        """Create the app; it connects with the first task."""
        self._app = _celery.make(self.setup)
        self._task = self._app.tasks[_celery.EXECUTE]

    def submit(self, task: Task) -> Any:
        """Send the task and return its `AsyncResult`."""
        return self._task.delay(*task.arguments)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Send it as the task that requests its retry (Tasks, Using a custom retry delay)."""
        return self._app.tasks[_celery.RETRY].delay(delay_s, *task.arguments)

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Send the group as the header of a chord, whose body is the join (Canvas, Chords)."""
        from celery import chord

        header = [self._task.si(*task.arguments) for task in tasks]
        # Immutable, as in a chain: the lab passes no results on where that is optional.
        return chord(header)(self._app.tasks[_celery.JOINED].si())

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Send a chain of immutable signatures, which pass no results on (Canvas, Chains)."""
        from celery import chain

        return chain(*(self._task.si(*task.arguments) for task in tasks)).delay()

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Send it with a priority: on Redis 0 is first, on RabbitMQ the highest (Routing)."""
        # The lowest and the highest of Kombu's steps for Redis, 0, 3, 6 and 9.
        priority = 0 if urgent == (self.setup.settings["broker_url"] == REDIS) else 9
        return self._task.apply_async(task.arguments, priority=priority)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the `AsyncResult`, which subscribes to Redis and does not poll."""
        from celery.exceptions import TimeoutError as NoResultError

        with in_time(timeout_s, NoResultError):
            return handle.get(timeout=timeout_s)

    def state_of(self, handle: Any) -> TaskState:
        """Return the state of the result (Tasks guide, States), or that in the workers.

        Without a result backend, and for PENDING, which Celery reports for unknown tasks as well,
        the workers are inspected, once for all tasks.
        """
        state = handle.state if "result_backend" in self.setup.settings else "PENDING"
        return STATES.get(state) or self._in_workers.get(handle.id, TaskState.UNKNOWN)

    @cached_property
    def _in_workers(self) -> Mapping[str, TaskState]:
        # Cached, because each inspection waits 1 s for replies, and the driver reads many states.
        return _celery.states_in_workers(self._app)

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the visibility timeout of Redis, or the heartbeat timeout of RabbitMQ."""
        return _celery.horizon_s(settings, is_started=is_started)

    def stop(self) -> None:
        """Close all connections, in the submitting thread, so that none is reopened later."""
        import kombu.pools

        if "result_backend" in self.setup.settings:
            consumer = self._app.backend.result_consumer
            # A result that is garbage-collected later would reconnect in order to unsubscribe.
            consumer.subscribed_to.clear()
            consumer.stop()
            self._app.backend.client.connection_pool.disconnect()
        kombu.pools.reset()  # type: ignore[no-untyped-call]
        self._app.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the effective settings, including defaults."""
        return _celery.settings_in_force(self._app, self.setup)

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one `celery worker`, or with `solo` one for each slot."""
        return _celery.workers(setup)

    @classmethod
    def monitor(cls, setup: BackendContext) -> Monitor:
        """Return Flower, whose first page lists the workers that responded (Flower docs)."""
        argv = (*_celery.CELERY, "flower", "--address=127.0.0.1", "--port={port}")
        token = b64encode(_flower_user(setup).encode()).decode()
        return Monitor(argv, "/", _celery.WORKER, {"Authorization": f"Basic {token}"})

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return Flower's user (Flower docs, Authentication, HTTP Basic Authentication)."""
        return {"FLOWER_BASIC_AUTH": _flower_user(setup)}


def _flower_user(setup: BackendContext) -> str:
    return f"lab:{setup.password}"
