"""Creates the broker of dramatiq with its actors, for the driver and for worker processes."""

from __future__ import annotations

from typing import Any

from lab.backends import _rabbitmq
from lab.core.model import BackendContext, Service
from lab.core.on_demand import on_demand
from lab.worker import execution

# Options of brokers; `maintenance_chance` is that of each command, in millionths.
OPTIONS = ("confirm_delivery", "max_priority", "maintenance_chance")
EXECUTE, AWAIT = execution.execute.__name__, execution.execute_async.__name__
RETRY = "retrying"


def make_broker(setup: BackendContext) -> Any:
    """Return the broker with the settings of variant and profile; it connects when it is used."""
    import dramatiq
    from dramatiq.middleware import AsyncIO

    settings = setup.settings
    options = {name: settings[name] for name in OPTIONS if name in settings}
    broker: Any
    if settings["broker"] == Service.RABBITMQ:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        broker = RabbitmqBroker(url=_rabbitmq.address(setup), **options)
    else:
        import redis
        from dramatiq.brokers.redis import RedisBroker
        from dramatiq.results import Results
        from dramatiq.results.backends import RedisBackend

        # Without this, redis-py ends a blocking read after 5 s, and `result` may wait for longer.
        client = redis.Redis.from_url(setup.endpoints[Service.REDIS], socket_timeout=None)
        broker = RedisBroker(client=client, **options)
        if "results" in settings:
            broker.add_middleware(Results(backend=RedisBackend(client=client), store_results=True))
    if "asyncio" in settings:
        broker.add_middleware(AsyncIO())
    # Without results, dramatiq logs a warning for each task that returns one.
    execute = execution.execute if "results" in settings else _discarding
    actors = {EXECUTE: execute, AWAIT: execution.execute_async, RETRY: _retrying}
    for name, function in actors.items():
        dramatiq.actor(function, actor_name=name, broker=broker)
    return broker


def _discarding(*task: Any) -> None:
    """Run a task and return nothing."""
    execution.execute(*task)


def _retrying(delay_ms: int, *task: Any) -> None:
    """Run a task; if it raises, request its retry after a delay."""
    from dramatiq import Retry

    try:
        execution.execute(*task)
    except Exception as error:
        raise Retry(str(error), delay=delay_ms) from error


# `dramatiq` reads its broker from a module.
__getattr__ = on_demand(__name__, broker=make_broker)
