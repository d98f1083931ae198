"""Celery on Redis or RabbitMQ: each of its pools, without and with a result backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import uuid4

from lab import kernel
from lab.backend import DEFAULT, Backend, Monitor, setup_from_environment
from lab.model import Capability, Command, Profile, Service, Setup, Task, Variant

PROMISED = {
    Capability.SUBMIT,
    Capability.NODES,
    Capability.PARALLEL,
    Capability.RETRY,
    Capability.PRIORITY,
    Capability.MONITOR,
}
REDIS, RABBITMQ = Service.REDIS.value, Service.RABBITMQ.value
# Settings that hold an address; variants name the service, and the setup knows where it listens.
ADDRESSES = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
# The others concern Celery beat, and result stores that are not in use.
IN_FORCE = ("accept_", "broker_", "control_", "event_", "redis_", "result_", "task_", "worker_")
CELERY = (sys.executable, "-m", "celery", "--app", f"{__name__}:app")
EXECUTE, RETRY = f"{kernel.__name__}.execute", "lab.retry"
WORKER = "lab-worker-"

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
    promised, services = PROMISED, tuple[Service, ...]()
    summary = f"`celery worker --pool {pool}` (Celery docs, Concurrency)"
    if "results" in extras:
        promised = promised | {Capability.RESULT}
        settings["result_backend"] = REDIS
        summary += ", results kept in Redis (Using Redis, Results)"
    if "rabbitmq" in extras:
        settings["broker_url"], services = RABBITMQ, (Service.RABBITMQ,)
        summary += " on RabbitMQ (Using RabbitMQ)"
    if "priorities" in extras:
        settings["task_queue_max_priority"] = 10
        summary += ", its queue with priorities (Routing, RabbitMQ Message Priorities)"
    elif services:
        promised = promised - {Capability.PRIORITY}
    packages = ("gevent",) if pool == "gevent" else ()
    return Variant(name, frozenset(promised), f"{summary}.", settings, services, packages)


class Celery(Backend):
    """Sends each task by `delay`; one `celery worker` a node, its pool as large as the node.

    `solo` runs tasks in the worker itself, and so has a worker for each slot. For priorities, Redis
    has a list each, which workers of one queue read in their order whatever is set (seen; Kombu
    source, `_brpop_start`); the queue of RabbitMQ has them where it was made for them.
    """

    family = "celery"
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
        self._app = _make_app(self.setup)
        self._task, self._retried = self._app.tasks[EXECUTE], self._app.tasks[RETRY]

    def submit(self, task: Task) -> Any:
        """Send the task and return its `AsyncResult`."""
        return self._task.delay(task.id, task.function, task.argument)

    def submit_retrying(self, task: Task) -> Any:
        """Send it as the task with `autoretry_for` (Tasks, Automatic retry), without its delay."""
        return self._retried.delay(task.id, task.function, task.argument)

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
        """Return the settings in force; addresses differ by trial, so their service is named."""
        table = self._app.conf.table(with_defaults=True)
        chosen = {name: value for name, value in table.items() if name.startswith(IN_FORCE)}
        settings = {**chosen, **dict.fromkeys(ADDRESSES), **self.setup.settings}
        settings["worker_concurrency"] = _pool_size(self.setup)
        # One of the defaults is an infinity, which JSON has no word for.
        return dict(json.loads(json.dumps(settings, default=str), parse_constant=str))

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return a node's workers, named apart (Workers, Starting): one, or one for each slot."""
        size = _pool_size(setup)
        argv = [*CELERY, "worker", "--pool", setup.settings["worker_pool"]]
        argv += ["--concurrency", str(size), "--hostname"]
        workers = range(setup.topology.workers_per_node // size)
        return [Command((*argv, f"{WORKER}{uuid4().hex}@%h"), size) for _ in workers]

    @classmethod
    def monitor(cls, setup: Setup) -> Monitor:
        """Return Flower, whose first page lists the workers that answered it (Flower docs)."""
        return Monitor((*CELERY, "flower", "--address=127.0.0.1", "--port={port}"), "/", WORKER)


def _pool_size(setup: Setup) -> int:
    # `solo` is no pool: such a worker runs one task at a time, whatever its concurrency.
    return 1 if setup.settings["worker_pool"] == "solo" else setup.topology.workers_per_node


def _make_app(setup: Setup) -> Any:
    import celery

    app = celery.Celery("lab")
    settings = setup.settings.items()
    app.conf.update({k: setup.endpoints[v] if k in ADDRESSES else v for k, v in settings})
    app.task(kernel.execute, name=EXECUTE)
    app.task(kernel.execute, name=RETRY, autoretry_for=(Exception,), default_retry_delay=0)
    app.finalize()
    return app


@cache
def _worker_app() -> Any:
    return _make_app(setup_from_environment())


def __getattr__(name: str) -> Any:
    # `celery --app` wants a module attribute; made on demand (PEP 562), for listing backends has
    # neither a setup nor need of celery.
    if name == "app":
        return _worker_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
