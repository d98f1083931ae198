"""Runs tasks with RQ on Redis: in a forked or spawned work-horse per job, or in the worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lab.backends import _rq
from lab.core.backend import DEFAULT
from lab.core.model import BackendContext, Capability, Command, Profile, Service

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue


WORKER, SIMPLE, SPAWN = "rq.worker.Worker", "rq.worker.SimpleWorker", "rq.worker.SpawnWorker"


class Rq(_rq.RqJobs):
    """Uses RQ directly: its client in the driver, and `rq worker` or `rq worker-pool`."""

    summary = "RQ on Redis"
    packages = ("rq", "redis")
    extra = "rq"
    module = "rq.cli"
    variants = (
        _rq.variant(
            "worker",
            "`rq worker`: forks a work-horse for each job (RQ docs, Workers, Inside the Worker).",
            {"command": "worker", "worker_class": WORKER},
        ),
        _rq.variant(
            "simple-worker",
            "`rq worker -w rq.worker.SimpleWorker`: no fork, and no heartbeat while a job runs "
            "(RQ docs, Workers, SimpleWorker).",
            {"command": "worker", "worker_class": SIMPLE},
        ),
        _rq.variant(
            "spawn-worker",
            "`rq worker -w rq.worker.SpawnWorker`: starts an interpreter for each job, for "
            "programs that must not fork (RQ docs, Workers, SpawnWorker).",
            {"command": "worker", "worker_class": SPAWN},
        ),
        _rq.variant(
            "worker-pool",
            "`rq worker-pool -n N`: one command per node, which forks its workers (RQ docs, "
            "Workers, Worker Pool).",
            {"command": "worker-pool", "worker_class": WORKER},
        ),
        _rq.variant(
            "simple-worker+scheduler",
            "`rq worker --with-scheduler -w rq.worker.SimpleWorker`: retries after an interval, "
            "with a scheduler process that polls every second (RQ docs, Scheduling Jobs, and "
            "Exceptions & Retries).",
            {"command": "worker", "worker_class": SIMPLE, "with_scheduler": True},
            # Only such workers enqueue a retry after its interval (Exceptions & Retries).
            Capability.RETRY_DELAY,
        ),
    )
    profiles = (
        DEFAULT,
        _rq.safe(
            ("worker", "simple-worker", "spawn-worker"),
            "maintenance_interval: 15 s instead of 600 s (Workers, Worker Arguments). "
            f"{_rq.WORKER_TTL_WHY}. Together: at most 30 s after the expiry of the heartbeat.",
            maintenance_interval=15,
            worker_ttl=30,
        ),
        _rq.SAFE_POOL,
        Profile("tuned", {"preload": True}, _rq.PRELOAD_WHY, ("worker", "worker-pool")),
    )

    def queue(self, connection: Redis) -> Queue:
        """Create the queue."""
        import rq

        return rq.Queue(_rq.QUEUE, connection=connection)

    @classmethod
    def arguments(cls, setup: BackendContext) -> Sequence[str]:
        """Return the option for the class of worker; Redis' address is in the environment."""
        return ["--worker-class", setup.settings["worker_class"]]

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return `rq cron`, RQ's scheduler for intervals and cron expressions (RQ docs, Cron)."""
        return [Command((sys.executable, "-m", cls.module, "cron", _rq.CRON))]

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the address of Redis, and the time zone in which `rq cron` reads expressions.

        The address contains the password, which every user could read in a command's arguments.
        """
        return {"RQ_REDIS_URL": setup.endpoints[Service.REDIS], "TZ": "UTC"}
