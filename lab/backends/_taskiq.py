"""Creates the broker of taskiq with its tasks, for driver and workers, and its scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.backends import _rabbitmq
from lab.core.model import BackendContext, Service
from lab.core.on_demand import on_demand
from lab.worker import execution

# The arguments of brokers on Redis.
OPTIONS = ("socket_timeout", "idle_timeout", "unacknowledged_lock_timeout", "xread_count")


# Here, because taskiq renames each function that it registers.
def execute(task_id: int, function: str, argument: Any) -> Any:
    """Run a function of the lab."""
    return execution.execute(task_id, function, argument)


async def execute_async(task_id: int, function: str, argument: Any) -> Any:
    """Run a coroutine function of the lab."""
    return await execution.execute_async(task_id, function, argument)


# The name of a task, and what runs it.
RUNS: Mapping[Callable[..., Any], tuple[str, Callable[..., Any]]] = {
    execution.execute: ("execute", execute),
    execution.execute_async: ("execute_async", execute_async),
}


def make_broker(setup: BackendContext) -> Any:
    """Return the broker with the settings of variant and profile, which `startup` connects."""
    from taskiq import SimpleRetryMiddleware

    settings = setup.settings
    broker: Any
    if settings["broker"] == "rabbitmq":
        from taskiq_aio_pika import AioPikaBroker, Queue

        broker = AioPikaBroker(_rabbitmq.address(setup), task_queues=[Queue()])
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


def make_worker(setup: BackendContext) -> Any:
    """Return the broker with a task for each job, whose schedule is a label of it."""
    broker = make_broker(setup)
    for job in setup.jobs:
        due = {"cron": job.cron} if job.cron else {"interval": round(job.every_s)}
        _, function = RUNS[execution.entry(job.function)]
        schedule = [{**due, "args": [*job.arguments]}]
        broker.register_task(function, f"job_{job.id}", schedule=schedule)
    return broker


def make_scheduler(setup: BackendContext) -> Any:
    """Return the scheduler, which reads the labels (docs, Scheduling tasks)."""
    from taskiq import TaskiqScheduler
    from taskiq.schedule_sources import LabelScheduleSource

    broker = make_worker(setup)
    return TaskiqScheduler(broker, [LabelScheduleSource(broker)])


# `taskiq` reads them from a module.
__getattr__ = on_demand(__name__, broker=make_worker, scheduler=make_scheduler)
