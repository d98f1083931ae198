"""Creates the Celery app for driver, workers, beat and Flower, and helps the adapters to use it."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from lab.backends import _rabbitmq
from lab.core.model import BackendContext, Command, Service
from lab.core.on_demand import on_demand
from lab.core.outcomes import TaskState
from lab.worker import execution

CELERY = (sys.executable, "-m", "celery", "--app", f"{__name__}:app")
EXECUTE, RETRY, JOINED = f"{execution.__name__}.execute", "lab.retry", "lab.joined"
WORKER = "lab-worker-"
# Defaults of Kombu's transport for Redis, in seconds, except the throttle.
VISIBILITY_S = 3600
SWEEP = (("unacked_restore_interval", 10), ("unacked_restore_throttle", 10))
# The scheduler whose jobs are a setting of the app.
STATIC = "celery.beat:PersistentScheduler"
# The settings that are addresses; variants set the service, whose address is in the setup.
ADDRESSES = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
# Prefixes of the reported settings; the others configure result stores that are not in use.
IN_FORCE = ("accept_", "broker_", "control_", "event_", "redis_", "result_", "task_", "worker_")
OF_BEAT = ("beat_cron_", "beat_max_", "beat_sync_", "enable_utc", "timezone")


def make(setup: BackendContext) -> Any:
    """Return the app with the settings of variant and profile; `STATIC` also sets the jobs.

    The schedule file of beat is in the ledger's folder, which is removed after the trial.
    """
    import celery
    from celery.schedules import crontab

    app = celery.Celery("lab")
    settings = setup.settings.items()
    app.conf.update({k: setup.endpoints[v] if k in ADDRESSES else v for k, v in settings})
    if setup.settings.get("beat_scheduler") == STATIC:
        folder = Path(os.environ["LAB_LEDGER"]).parent
        app.conf.beat_schedule_filename = str(folder / "celerybeat-schedule")
        app.conf.beat_schedule = {
            f"job {job.id}": {
                "task": EXECUTE,
                "args": job.arguments,
                "schedule": crontab.from_string(job.cron) if job.cron else job.every_s,
            }
            for job in setup.jobs
        }
    app.task(execution.execute, name=EXECUTE)
    app.task(execution.noop_join, name=JOINED)
    app.task(_retrying, name=RETRY, bind=True)
    app.finalize()
    return app


def _retrying(self: Any, delay_s: float, *task: Any) -> Any:
    """Run a task; if it raises, retry it after `delay_s` seconds, at most three times."""
    try:
        return execution.execute(*task)
    except Exception as error:
        raise self.retry(exc=error, countdown=delay_s) from error


def horizon_s(settings: Mapping[str, Any], *, is_started: bool) -> float | None:
    """Return the redelivery horizon in seconds; None for a task that is acknowledged early.

    RabbitMQ closes a connection after its heartbeat timeout, or at once if a process has ended; an
    infinite horizon means that only TCP detects a lost peer. On Redis, it is the visibility timeout
    and the period in which Kombu looks for expired deliveries (Kombu docs, kombu.transport.redis).
    """
    if is_started and not settings.get("task_acks_late"):
        return None
    if settings["broker_url"] == Service.RABBITMQ:
        # It is shorter than Celery's, and therefore in force.
        return _rabbitmq.HEARTBEAT_S if settings.get("broker_heartbeat", True) else math.inf
    options = settings.get("broker_transport_options", {})
    interval_s, throttle = (options.get(name, default) for name, default in SWEEP)
    return float(options.get("visibility_timeout", VISIBILITY_S) + interval_s * throttle)


def states_in_workers(app: Any) -> dict[str, TaskState]:
    """Return the state of each task that a worker has (Workers guide, Inspecting workers)."""
    inspect, states = app.control.inspect(), dict[str, TaskState]()
    for state, replies in (
        (TaskState.QUEUED, inspect.reserved()),
        # Last, because a task that starts between the two replies is in both and runs.
        (TaskState.RUNNING, inspect.active()),
    ):
        # Celery returns None if no worker has replied.
        for tasks in (replies or {}).values():
            states |= {task["id"]: state for task in tasks}
    return states


def settings_in_force(app: Any, setup: BackendContext) -> Mapping[str, Any]:
    """Return all settings, with defaults; for an address, which differs by trial, the service."""
    names = (*IN_FORCE, *OF_BEAT) if "beat_scheduler" in setup.settings else IN_FORCE
    table = app.conf.table(with_defaults=True)
    chosen = {name: value for name, value in table.items() if name.startswith(names)}
    settings = {**chosen, **dict.fromkeys(ADDRESSES), **setup.settings}
    settings["worker_concurrency"] = _pool_size(setup)
    # One of the defaults is an infinity, which is not valid JSON.
    return dict(json.loads(json.dumps(settings, default=str), parse_constant=str))


def workers(setup: BackendContext) -> Sequence[Command]:
    """Return a node's workers, with unique names (Workers, Starting): one, or one per slot."""
    size = _pool_size(setup)
    argv = [*CELERY, "worker", "--pool", setup.settings["worker_pool"]]
    argv += ["--concurrency", str(size), "--hostname"]
    number = range(setup.topology.workers_per_node // size)
    return [Command((*argv, f"{WORKER}{uuid4().hex}@%h"), size) for _ in number]


def _pool_size(setup: BackendContext) -> int:
    # A `solo` worker runs one task at a time, with any concurrency.
    return 1 if setup.settings["worker_pool"] == "solo" else setup.topology.workers_per_node


# `celery --app` reads it from a module.
__getattr__ = on_demand(__name__, app=make)
