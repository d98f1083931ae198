"""Creates the client of huey, and for a consumer its tasks and periodic tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.core.model import BackendContext, Job, Service
from lab.core.on_demand import on_demand
from lab.worker import execution

OPTIONS = ("store_none", "notify_result")
MINUTE_S = 60


def make_huey(setup: BackendContext) -> Any:
    """Return the client with the settings of variant and profile; it connects when it is used."""
    import huey

    make = getattr(huey, setup.settings["storage"])
    options = {name: setup.settings[name] for name in OPTIONS if name in setup.settings}
    if make is huey.SqliteHuey:
        file = Path(os.environ["LAB_LEDGER"]).with_name("huey.db")
        return make(setup.variant, filename=str(file), **options)
    if make is huey.PostgresHuey:
        return make(setup.variant, dsn=setup.endpoints[Service.POSTGRES], **options)
    import redis

    # Without this, redis-py ends a blocking read after 5 s, and `result` may wait for longer.
    pool = redis.ConnectionPool.from_url(setup.endpoints[Service.REDIS], socket_timeout=None)
    return make(setup.variant, connection_pool=pool, **options)


def chained(task_id: int, function: str, argument: Any, *_before: Any) -> Any:
    """Run a task of a pipeline, which passes the result of the previous one on as the last."""
    return execution.execute(task_id, function, argument)


def is_due(job: Job) -> Callable[[datetime], bool]:
    """Return the test of a minute for a job, in UTC (Guide, Periodic tasks)."""
    from huey import crontab

    if os.environ["LAB_NODE"] != "0":  # more than one would enqueue it (Consuming Tasks)
        return lambda _: False
    if job.cron:
        of_cron: Callable[[datetime], bool] = crontab(*job.cron.split(), strict=True)
        return of_cron
    period = round(job.every_s / MINUTE_S)
    return lambda now: int(now.timestamp() // MINUTE_S) % period == 0


def make_worker(setup: BackendContext) -> Any:
    """Return the client of a consumer, with the tasks of the lab and one for each job."""
    app = make_huey(setup)
    for function in (execution.execute, chained):
        app.task()(function)
    for job in setup.jobs:

        def run(job: Job = job) -> Any:
            return execution.execute(*job.arguments)

        app.periodic_task(is_due(job), name=f"job_{job.id}")(run)
    return app


# `huey_consumer` reads it from a module.
__getattr__ = on_demand(__name__, huey=make_worker)
