"""RQ on Redis: a work-horse forked for each job, or jobs in the worker's own process."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab import kernel
from lab.backend import DEFAULT, Backend
from lab.model import Capability, Command, Profile, Service, Setup, Task, Variant

if TYPE_CHECKING:
    from rq.job import Job

CAPABILITIES = frozenset(
    {Capability.SUBMIT, Capability.RESULT, Capability.NODES, Capability.PARALLEL}
)
# The script of the docs' Performance Notes: it imports what jobs need, then works.
PRELOADING_SCRIPT = """
import importlib, pkgutil, sys
import lab.kernel, workloads
for module in pkgutil.iter_modules(workloads.__path__):
    importlib.import_module(f"workloads.{module.name}")
from redis import Redis
pkgutil.resolve_name(sys.argv[1])(["default"], connection=Redis.from_url(sys.argv[2])).work()
"""


class Rq(Backend):
    """Enqueues each task as a job on the queue `default`; one worker process a worker slot."""

    family = "rq"
    summary = "RQ on Redis"
    packages = ("rq", "redis")
    extra = "rq"
    services = (Service.REDIS,)
    variants = (
        Variant(
            "worker",
            CAPABILITIES,
            "`rq worker`: forks a work-horse for each job (RQ docs, Workers, Inside the Worker).",
            {"worker_class": "rq.worker.Worker"},
        ),
        Variant(
            "simple-worker",
            CAPABILITIES,
            "`rq worker -w rq.worker.SimpleWorker`: no fork, and no heartbeat while a job runs "
            "(RQ docs, Workers, SimpleWorker).",
            {"worker_class": "rq.worker.SimpleWorker"},
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"retry": 3, "maintenance_interval": 15, "worker_ttl": 30},
            "retry: an abandoned job is enqueued again only if it has retries left, else it fails "
            "(RQ docs, Exceptions & Retries). maintenance_interval: abandoned jobs are looked for "
            "this often, not every 600 s (Workers, Worker Arguments). worker_ttl: maintenance "
            "waits for the blocking dequeue of an idle worker, worker_ttl - 15 s long, 405 s by "
            "default (Connections, Timeout). A killed work-horse is redone at once, a killed "
            "worker's job after its heartbeat expires (90 s; 240 s for SimpleWorker) and at most "
            "30 s more.",
        ),
        Profile(
            "tuned",
            {"preload": True},
            "preload: a worker script of one's own that imports the jobs' modules before the "
            "fork, so that no work-horse imports them again (RQ docs, Workers, Performance "
            "Notes). A SimpleWorker gains nothing by it.",
            variants=("worker",),
        ),
    )

    def start(self) -> None:
        """Make the queue and its client."""
        import redis
        import rq

        retries = self.setup.settings.get("retry", 0)
        self._options = {"retry": rq.Retry(max=retries)} if retries else {}
        # Without it, redis-py cuts a blocking read after 5 s, and `result` may wait longer.
        url = self.setup.endpoints[Service.REDIS]
        self._connection = redis.Redis.from_url(url, socket_timeout=None)
        self._queue = rq.Queue(connection=self._connection)

    def submit(self, task: Task) -> Job:
        """Enqueue the task and return its job."""
        return self._queue.enqueue(
            kernel.execute, task.id, task.function, task.argument, **self._options
        )

    def result(self, handle: Job, timeout_s: float) -> Any:
        """Wait on the job's result stream (RQ docs, Results).

        Raises:
            RuntimeError: The job failed; the message is the worker's traceback.
        """
        outcome = handle.latest_result(timeout=max(1, round(timeout_s)))
        if outcome is None:
            raise TimeoutError(f"Job {handle.id} had no result after {timeout_s} s.")
        if outcome.type is not outcome.Type.SUCCESSFUL:
            raise RuntimeError(outcome.exc_string)
        return outcome.return_value

    def stop(self) -> None:
        """Close the client's connections."""
        self._connection.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return RQ's own defaults, overridden by the settings of variant and profile."""
        from rq import Queue, defaults

        installed = {
            name.removeprefix("DEFAULT_").lower(): value
            for name, value in vars(defaults).items()
            if name.startswith("DEFAULT_")
        }
        return {**installed, "job_timeout": Queue.DEFAULT_TIMEOUT, **self.setup.settings}

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return one `rq worker` for each slot: an RQ worker does one job at a time."""
        settings, url = setup.settings, setup.endpoints[Service.REDIS]
        worker_class = settings["worker_class"]
        argv = [sys.executable, "-m", "rq.cli", "worker", "--url", url]
        argv += ["--worker-class", worker_class]
        for option in ("maintenance_interval", "worker_ttl"):
            if option in settings:
                argv += [f"--{option.replace('_', '-')}", str(settings[option])]
        if settings.get("preload"):
            argv = [sys.executable, "-c", PRELOADING_SCRIPT, worker_class, url]
        return [Command(tuple(argv), slots=1)] * setup.topology.workers_per_node
