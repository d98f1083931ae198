"""RQ on Redis: a work-horse a job, forked or spawned, or jobs in the worker's own process."""

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
    WORKER_TTL_WHY,
    RqJobs,
)
from lab.core.backend import DEFAULT
from lab.core.model import Capability, Command, Profile, Service, Setup, Variant

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue


def _variant(
    name: str, worker_class: str, summary: str, command: str = "worker", **more: Any
) -> Variant:
    settings = {"command": command, "worker_class": f"rq.worker.{worker_class}", **more}
    waits = {Capability.RETRY_DELAY} if more else set()
    return Variant(name, CAPABILITIES | waits, f"{summary}.", settings)


class Rq(RqJobs):
    """RQ by itself: its client in the driver, its commands `rq worker` and `rq worker-pool`."""

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
            "`rq worker -w rq.worker.SpawnWorker`: starts an interpreter for each job, where a "
            "fork is unsafe (RQ docs, Workers, SpawnWorker)",
        ),
        _variant(
            "worker-pool",
            "Worker",
            "`rq worker-pool -n N`: one command a node, which forks its workers (RQ docs, "
            "Workers, Worker Pool)",
            "worker-pool",
        ),
        _variant(
            "simple-worker+scheduler",
            "SimpleWorker",
            "`rq worker --with-scheduler -w rq.worker.SimpleWorker`: retries after an interval, "
            "which a process beside the worker looks for each second (RQ docs, Scheduling Jobs, "
            "and Exceptions & Retries)",
            with_scheduler=True,
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"retry": 3, "maintenance_interval": 15, "worker_ttl": 30},
            f"{RETRY_WHY}. maintenance_interval: it comes this often, not every 600 s (Workers, "
            f"Worker Arguments). {WORKER_TTL_WHY}. So at most 30 s after the heartbeat.",
            ("worker", "simple-worker", "spawn-worker"),
        ),
        Profile(
            "safe",
            {"retry": 3},
            f"{RETRY_WHY}, which comes every 600 s, or 810 s where all workers are idle: `rq "
            "worker-pool` has no option for it (Workers, Worker Pool).",
            ("worker-pool",),
        ),
        Profile("tuned", {"preload": True}, PRELOAD_WHY, ("worker", "worker-pool")),
    )

    def queue(self, connection: Redis) -> Queue:
        """Make the queue."""
        import rq

        return rq.Queue(QUEUE, connection=connection)

    @classmethod
    def arguments(cls, setup: Setup) -> Sequence[str]:
        """Return which class of worker to run; where Redis is, the environment says."""
        return ["--worker-class", setup.settings["worker_class"]]

    @classmethod
    def scheduler_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return `rq cron`, RQ's way to regular intervals and cron lines (RQ docs, Cron)."""
        return [Command((sys.executable, "-m", cls.module, "cron", CRON))]

    @classmethod
    def worker_environment(cls, setup: Setup) -> Mapping[str, str]:
        """Return where Redis is, with its password, which arguments would show to every user.

        And the time zone, in which `rq cron` reads cron lines.
        """
        return {"RQ_REDIS_URL": setup.endpoints[Service.REDIS], "TZ": "UTC"}
