"""Celery on Redis or RabbitMQ: each of its pools, without and with a result backend."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _celery
from lab.core.backend import DEFAULT, Backend, Monitor
from lab.core.model import Capability, Carrier, Command, Profile, Service, Setup, Task, Variant

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
# Variants by name: a pool, on Redis where nothing else is said, and what it has beyond that.
ON_REDIS = (
    *("prefork", "prefork+results", "threads", "threads+results"),
    *("gevent", "gevent+results", "solo"),
)
ON_RABBITMQ = ("prefork+rabbitmq", "prefork+rabbitmq+priorities", "threads+rabbitmq")
GEVENT_ON_RABBITMQ = "gevent+rabbitmq"
LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True}
LATE_WHY = (
    "task_acks_late: a message is deleted only after its task has run (Celery docs, Optimizing, "
    "Reserve one task at a time). task_reject_on_worker_lost: without it the task of a killed pool "
    "process is acknowledged all the same (Configuration)."
)
SOON = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
PREFETCH = {"worker_prefetch_multiplier": 64}
PREFETCH_WHY = (
    "worker_prefetch_multiplier: with many short tasks the number of messages reserved for each "
    "slot should be large, say 64 or 128, instead of 4 (Celery docs, Optimizing, Prefetch Limits)."
)


def _variant(name: str) -> Variant:
    pool, *extras = name.split("+")
    settings: dict[str, Any] = {"worker_pool": pool, "broker_url": REDIS}
    promised, services, ceilings = PROMISED, tuple[Service, ...](), tuple[str, ...]()
    summary = f"`celery worker --pool {pool}` (Celery docs, Concurrency)"
    if "results" in extras:
        promised = promised | {Capability.RESULT, Capability.GROUP, Capability.CHAIN}
        settings["result_backend"] = REDIS
        summary += ", results kept in Redis (Using Redis, Results)"
    if "rabbitmq" in extras:
        settings["broker_url"], services = RABBITMQ, (Service.RABBITMQ,)
        ceilings = ("raw-amqp",)
        summary += " on RabbitMQ (Using RabbitMQ)"
    if "priorities" in extras:
        settings["task_queue_max_priority"] = 10
        summary += ", its queue with priorities (Routing, RabbitMQ Message Priorities)"
    elif services:
        promised = promised - {Capability.PRIORITY}
    packages = ("gevent",) if pool == "gevent" else ()
    needs = services, packages, Carrier.JSON
    return Variant(name, frozenset(promised), f"{summary}.", settings, *needs, ceilings)


class Celery(Backend):
    """Sends each task by `delay`; one `celery worker` a node, its pool as large as the node.

    `solo` runs tasks in the worker itself, and so has a worker for each slot. For priorities, Redis
    has a list each, which workers of one queue read in their order whatever is set (seen; Kombu
    source, `_brpop_start`); the queue of RabbitMQ has them where it was made for them.
    """

    family = "celery"
    ceilings = ("raw-redis", "raw-redis[pipelined-10]", "raw-redis[pipelined-100]")
    summary = "Celery on Redis or RabbitMQ"
    packages = ("celery", "redis")
    extra = "celery"
    services = (Service.REDIS,)
    variants = tuple(map(_variant, (*ON_REDIS, *ON_RABBITMQ, GEVENT_ON_RABBITMQ)))
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            LATE | {"broker_transport_options": {"visibility_timeout": 60, **SOON}},
            f"{LATE_WHY} visibility_timeout: the task of a killed worker goes to another one after "
            "60 s instead of 3600 s, which is longer than any task here waits and runs once it is "
            "reserved (Using Redis, Visibility timeout). unacked_restore_interval and _throttle: "
            "expired deliveries are looked for every second instead of every 100 s, as advised "
            "for low visibility timeouts (Kombu docs, kombu.transport.redis).",
            ON_REDIS,
        ),
        Profile(
            "safe",
            LATE,
            f"{LATE_WHY} RabbitMQ itself redelivers what was not acknowledged when a connection "
            "ends (RabbitMQ docs, Consumer Acknowledgements, Automatic Requeueing).",
            (*ON_RABBITMQ, GEVENT_ON_RABBITMQ),
        ),
        Profile("tuned", PREFETCH, PREFETCH_WHY, (*ON_REDIS, *ON_RABBITMQ)),
        Profile(
            "tuned",
            PREFETCH | {"broker_heartbeat": 0},
            f"{PREFETCH_WHY} broker_heartbeat: unless it is off, a gevent worker waits 0.1 s for "
            "heartbeats after each message (Celery source, `synloop` in celery/worker/loops.py); "
            "it then learns of a lost broker from TCP alone (Configuration).",
            (GEVENT_ON_RABBITMQ,),
        ),
    )

    def start(self) -> None:
        """Make the app; it connects with the first task."""
        self._app = _celery.make(self.setup)
        self._task = self._app.tasks[_celery.EXECUTE]

    def submit(self, task: Task) -> Any:
        """Send the task and return its `AsyncResult`."""
        return self._task.delay(task.id, task.function, task.argument)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Send it as the task that asks for its retry (Tasks, Using a custom retry delay)."""
        arguments = (delay_s, task.id, task.function, task.argument)
        return self._app.tasks[_celery.RETRY].delay(*arguments)

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Send the group as the header of a chord, whose body joins it (Canvas, Chords)."""
        from celery import chord

        header = [self._task.si(t.id, t.function, t.argument) for t in tasks]
        return chord(header)(self._app.tasks[_celery.JOINED].si())

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Send a chain of signatures that take no answer from another (Canvas, Chains)."""
        from celery import chain

        return chain(*(self._task.si(t.id, t.function, t.argument) for t in tasks)).delay()

    def join(self, handle: Any, timeout_s: float) -> None:
        """Wait for the result of the chord's body, or of the chain's last task."""
        self.result(handle, timeout_s)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Send it with a priority: of Redis 0 goes first, of RabbitMQ the highest (Routing)."""
        priority = 0 if urgent == (self.setup.settings["broker_url"] == REDIS) else 9
        arguments = (task.id, task.function, task.argument)
        return self._task.apply_async(arguments, priority=priority)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the `AsyncResult`, which listens on Redis and does not poll."""
        from celery.exceptions import TimeoutError as NoResultError

        try:
            return handle.get(timeout=timeout_s)
        except NoResultError as error:
            raise TimeoutError(f"Task {handle.id} had no result after {timeout_s} s.") from error

    def stop(self) -> None:
        """Close the connections, from the thread that submitted: nothing may reconnect later."""
        import kombu.pools

        if "result_backend" in self.setup.settings:
            consumer = self._app.backend.result_consumer
            # A result that is collected later would unsubscribe, and reconnect to do so.
            consumer.subscribed_to.clear()
            consumer.stop()
            self._app.backend.client.connection_pool.disconnect()
        kombu.pools.reset()  # type: ignore[no-untyped-call]
        self._app.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings in force, defaults included."""
        return _celery.settings_in_force(self._app, self.setup)

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return one `celery worker`, or of `solo` one for each slot."""
        return _celery.workers(setup)

    @classmethod
    def monitor(cls, setup: Setup) -> Monitor:
        """Return Flower, whose first page lists the workers that answered it (Flower docs)."""
        argv = (*_celery.CELERY, "flower", "--address=127.0.0.1", "--port={port}")
        token = b64encode(_flower_user(setup).encode()).decode()
        return Monitor(argv, "/", _celery.WORKER, {"Authorization": f"Basic {token}"})

    @classmethod
    def worker_environment(cls, setup: Setup) -> Mapping[str, str]:
        """Return who may see Flower (Flower docs, Authentication, HTTP Basic Authentication)."""
        return {"FLOWER_BASIC_AUTH": _flower_user(setup)}


def _flower_user(setup: Setup) -> str:
    return f"lab:{setup.password}"
