"""Celery on Redis or RabbitMQ: each of its pools, without and with a result backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import uuid4

from lab import kernel
from lab.backend import DEFAULT, Backend, setup_from_environment
from lab.model import Capability, Command, Profile, Service, Setup, Task, Variant

SUBMIT_ONLY = frozenset({Capability.SUBMIT, Capability.NODES, Capability.PARALLEL})
# Settings that hold an address; variants name the service, and the setup knows where it listens.
ADDRESSES = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
# The others concern Celery beat, and result stores that are not in use.
IN_FORCE = ("accept_", "broker_", "control_", "event_", "redis_", "result_", "task_", "worker_")


def _variants(pool: str) -> tuple[Variant, ...]:
    settings = {"worker_pool": pool, "broker_url": Service.REDIS.value}
    summary = f"`celery worker --pool {pool}` (Celery docs, Concurrency)"
    with_results = settings | {"result_backend": Service.REDIS.value}
    capabilities = SUBMIT_ONLY | {Capability.RESULT}
    kept = f"{summary}, results kept in Redis (Using Redis, Results)."
    on_rabbitmq = settings | {"broker_url": Service.RABBITMQ.value}
    about = f"{summary} on RabbitMQ (Using RabbitMQ), no result backend."
    servers = (Service.RABBITMQ,)
    needs = ("gevent",) if pool == "gevent" else ()
    return (
        Variant(pool, SUBMIT_ONLY, f"{summary}, no result backend.", settings, packages=needs),
        Variant(f"{pool}+results", capabilities, kept, with_results, packages=needs),
        Variant(f"{pool}+rabbitmq", SUBMIT_ONLY, about, on_rabbitmq, servers, needs),
    )


VARIANTS = (
    *_variants("prefork"),
    *_variants("threads"),
    *_variants("gevent"),
    _variants("solo")[0],
)
ON_RABBITMQ = tuple(v.name for v in VARIANTS if v.services)
ON_REDIS = tuple(v.name for v in VARIANTS if not v.services)
GEVENT_ON_RABBITMQ = "gevent+rabbitmq"
LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True}
LATE_WHY = (
    "task_acks_late: a message is deleted only after its task has run (Celery docs, Optimizing, "
    "Reserve one task at a time). task_reject_on_worker_lost: without it the task of a killed pool "
    "process is acknowledged all the same (Configuration). "
)
PREFETCH = {"worker_prefetch_multiplier": 64}
PREFETCH_WHY = (
    "worker_prefetch_multiplier: with many short tasks the number of messages reserved for each "
    "slot should be large, say 64 or 128, instead of 4 (Celery docs, Optimizing, Prefetch Limits). "
)
PROFILES = (
    DEFAULT,
    Profile(
        "safe",
        {
            **LATE,
            "broker_transport_options": {
                "visibility_timeout": 60,
                "unacked_restore_interval": 1,
                "unacked_restore_throttle": 1,
            },
        },
        f"{LATE_WHY}visibility_timeout: the task of a killed worker goes to another one after 60 s "
        "instead of 3600 s, which is longer than any task here waits and runs once it is reserved "
        "(Using Redis, Visibility timeout). unacked_restore_interval and _throttle: expired "
        "deliveries are looked for every second instead of every 100 s, as advised for low "
        "visibility timeouts (Kombu docs, kombu.transport.redis).",
        ON_REDIS,
    ),
    Profile(
        "safe",
        LATE,
        f"{LATE_WHY}RabbitMQ itself redelivers what was not acknowledged when a connection ends "
        "(RabbitMQ docs, Consumer Acknowledgements, Automatic Requeueing).",
        ON_RABBITMQ,
    ),
    Profile(
        "tuned",
        PREFETCH,
        PREFETCH_WHY,
        tuple(v.name for v in VARIANTS if v.name != GEVENT_ON_RABBITMQ),
    ),
    Profile(
        "tuned",
        {**PREFETCH, "broker_heartbeat": 0},
        f"{PREFETCH_WHY}broker_heartbeat: unless it is off, a gevent worker waits 0.1 s for "
        "heartbeats after each message (Celery source, `synloop` in celery/worker/loops.py); it "
        "then learns of a lost broker from TCP alone (Configuration).",
        (GEVENT_ON_RABBITMQ,),
    ),
)


class Celery(Backend):
    """Sends each task by `delay`; one `celery worker` a node, its pool as large as the node.

    `solo` runs tasks in the worker itself, and so has a worker for each slot.
    """

    family = "celery"
    summary = "Celery on Redis or RabbitMQ"
    packages = ("celery", "redis")
    extra = "celery"
    services = (Service.REDIS,)
    variants = VARIANTS
    profiles = PROFILES

    def start(self) -> None:
        """Make the app; it connects with the first task."""
        self._app = _make_app(self.setup)
        self._task = self._app.tasks[f"{kernel.__name__}.execute"]

    def submit(self, task: Task) -> Any:
        """Send the task and return its `AsyncResult`."""
        return self._task.delay(task.id, task.function, task.argument)

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
        pool, size = setup.settings["worker_pool"], _pool_size(setup)
        argv = [sys.executable, "-m", "celery", "--app", f"{__name__}:app", "worker"]
        argv += ["--pool", pool, "--concurrency", str(size), "--hostname"]
        workers = range(setup.topology.workers_per_node // size)
        return [Command((*argv, f"{uuid4().hex}@%h"), size) for _ in workers]


def _pool_size(setup: Setup) -> int:
    # `solo` is no pool: such a worker runs one task at a time, whatever its concurrency.
    return 1 if setup.settings["worker_pool"] == "solo" else setup.topology.workers_per_node


def _make_app(setup: Setup) -> Any:
    import celery

    app = celery.Celery("lab")
    settings = setup.settings.items()
    app.conf.update({k: setup.endpoints[v] if k in ADDRESSES else v for k, v in settings})
    app.task(kernel.execute)
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
