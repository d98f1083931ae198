"""Runs tasks with RQ on Redis: in a forked or spawned work-horse per job, or in the worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.backends._rq import (
    CAPABILITIES,
    CRON,
    PRELOAD_WHY,
    QUEUE,
    RETRY_WHY,
    SAFE_AGAINST,
    WORKER_TTL_WHY,
    RqJobs,
)
from lab.core.backend import DEFAULT
from lab.core.model import BackendContext, Capability, Command, Profile, Service, Variant
from lab.core.outcomes import AckMeans, Contract

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue


def _variant(
    name: str, worker_class: str, summary: str, command: str = "worker", **more: Any
) -> Variant:
    settings = {"command": command, "worker_class": f"rq.worker.{worker_class}", **more}
    # Only workers with a scheduler enqueue a retry after its interval (Exceptions & Retries).
    waits = {Capability.RETRY_DELAY} if more else set()
    capabilities = CAPABILITIES | waits
    return Variant(
        name,
        capabilities,
        f"{summary}.",
        settings,
        ack_means=AckMeans.ACCEPTED,
        contract=Contract.AT_MOST_ONCE,
    )


class Rq(RqJobs):
    """Uses RQ directly: its client in the driver, and `rq worker` or `rq worker-pool`."""

    summary = "RQ on Redis"
    packages = ("rq", "redis")
    extra = "rq"
    module = "rq.cli"
    variants = (
        _variant(
            "worker",
            "Worker",
            "`rq worker`: forks a work-horse for each job (RQ docs, Workers, Inside the Worker)",
        ),
        _variant(
            "simple-worker",
            "SimpleWorker",
            "`rq worker -w rq.worker.SimpleWorker`: no fork, and no heartbeat while a job runs "
            "(RQ docs, Workers, SimpleWorker)",
        ),
        _variant(
            "spawn-worker",
            "SpawnWorker",
            "`rq worker -w rq.worker.SpawnWorker`: starts an interpreter for each job, for "
            "programs that must not fork (RQ docs, Workers, SpawnWorker)",
        ),
        _variant(
            "worker-pool",
            "Worker",
            "`rq worker-pool -n N`: one command per node, which forks its workers (RQ docs, "
            "Workers, Worker Pool)",
            "worker-pool",
        ),
        _variant(
            "simple-worker+scheduler",
            "SimpleWorker",
            "`rq worker --with-scheduler -w rq.worker.SimpleWorker`: retries after an interval, "
            "with a scheduler process that polls every second (RQ docs, Scheduling Jobs, and "
            "Exceptions & Retries)",
            with_scheduler=True,
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"retry": 3, "maintenance_interval": 15, "worker_ttl": 30},
            f"{RETRY_WHY}. maintenance_interval: 15 s instead of 600 s (Workers, Worker "
            f"Arguments). {WORKER_TTL_WHY}. Together: at most 30 s after the expiry of the "
            "heartbeat.",
            ("worker", "simple-worker", "spawn-worker"),
            contract=Contract.AT_LEAST_ONCE,
            safe_against=SAFE_AGAINST,
        ),
        Profile(
            "safe",
            {"retry": 3},
            f"{RETRY_WHY}. Maintenance runs every 600 s, or every 810 s if all workers are idle: "
            "`rq worker-pool` has no option for it (Workers, Worker Pool).",
            ("worker-pool",),
            contract=Contract.AT_LEAST_ONCE,
            safe_against=SAFE_AGAINST,
        ),
        Profile("tuned", {"preload": True}, PRELOAD_WHY, ("worker", "worker-pool")),
    )

    def queue(self, connection: Redis) -> Queue:
        """Create the queue."""
        import rq

        return rq.Queue(QUEUE, connection=connection)

    @classmethod
    def arguments(cls, setup: BackendContext) -> Sequence[str]:
        """Return the option for the class of worker; Redis' address is in the environment."""
        return ["--worker-class", setup.settings["worker_class"]]

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return `rq cron`, RQ's scheduler for intervals and cron expressions (RQ docs, Cron)."""
        return [Command((sys.executable, "-m", cls.module, "cron", CRON))]

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the address of Redis, and the time zone in which `rq cron` reads expressions.

        The address contains the password, which every user could read in a command's arguments.
        """
        return {"RQ_REDIS_URL": setup.endpoints[Service.REDIS], "TZ": "UTC"}
