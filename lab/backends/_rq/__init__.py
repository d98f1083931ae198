"""Contains the common parts of the backends RQ and Django-RQ: jobs on one Redis queue, and workers.

Django-RQ is RQ with its queues in Django's settings and its commands in `manage.py`. The lab uses
one queue, because RQ reads several queues with a plain pop, which loses the job of a dying worker.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lab.core.backend import Backend
from lab.core.faults import ENDED_WORKERS
from lab.core.model import BackendContext, Capability, Command, Profile, Service, Task, Variant
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.worker import execution

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue
    from rq.job import Job

CAPABILITIES = frozenset(
    {
        Capability.SUBMIT,
        Capability.RESULT,
        Capability.NODES,
        Capability.PARALLEL,
        Capability.SCHEDULE,
        Capability.RETRY,
        Capability.PRIORITY,
        Capability.GROUP,
        Capability.CHAIN,
        Capability.AWAITS,
    }
)
QUEUE = "default"
CRON, PRELOADING = f"{__name__}.cron", f"{__name__}.preloading"
# Other statuses are those of jobs that wait (RQ docs, Jobs, Job Status).
STATES: Mapping[str, TaskState] = {
    "started": TaskState.RUNNING,
    "finished": TaskState.FINISHED,
    **dict.fromkeys(("failed", "stopped", "canceled"), TaskState.FAILED),
}
# Defaults of RQ, in seconds; without heartbeats, the entry of a job expires after its timeout.
HEARTBEAT_S, JOB_TIMEOUT_S, WORKER_TTL_S, MAINTENANCE_S = 30, 180, 420, 600
# The settings that are options of worker commands.
OPTIONS = ("maintenance_interval", "worker_ttl")
RETRY_WHY = (
    "retry: an abandoned job is enqueued again only if it has retries left, else it fails (RQ "
    "docs, Exceptions & Retries). The job of a killed work-horse is enqueued immediately, the job "
    "of a killed worker by the first maintenance after the expiry of its heartbeat (90 s; 240 s "
    "for a SimpleWorker)"
)
WORKER_TTL_WHY = (
    "worker_ttl: maintenance waits for the blocking dequeue of an idle worker, worker_ttl - 15 s "
    "long, 405 s by default (RQ docs, Connections, Timeout)"
)
PRELOAD_WHY = (
    "preload: a custom worker script that imports the jobs' modules before the fork, so that no "
    "work-horse imports them again (RQ docs, Workers, Performance Notes)."
)


def variant(name: str, summary: str, settings: Mapping[str, Any], *more: Capability) -> Variant:
    """Return a variant, whose jobs are in Redis until a worker takes them."""
    return Variant(
        name,
        CAPABILITIES | {*more},
        summary,
        settings,
        ack_means=AckMeans.ACCEPTED,
        contract=Contract.AT_MOST_ONCE,
    )


def safe(variants: tuple[str, ...], why: str, **settings: int) -> Profile:
    """Return the profile whose abandoned jobs are retried; `why` is about its other settings."""
    return Profile(
        "safe",
        {"retry": 3, **settings},
        f"{RETRY_WHY}. {why}",
        variants,
        contract=Contract.AT_LEAST_ONCE,
        safe_against=ENDED_WORKERS,
    )


SAFE_POOL = safe(
    ("worker-pool",),
    "Maintenance runs every 600 s, or every 810 s if all workers are idle: a worker pool has no "
    "option for it (RQ docs, Workers, Worker Pool).",
)


class RqJobs(Backend):
    """Enqueues each task as a job; a node has one worker process per slot, or one pool of them.

    `module` is the module with the worker commands; a variant's settings select one of them.
    """

    family = "rq"
    references = (
        "raw-redis[small]",
        "raw-redis[small+pipelined-10]",
        "raw-redis[small+pipelined-100]",
        "deadline-loop",
    )
    services = (Service.REDIS,)
    module: ClassVar[str]

    @abstractmethod
    def queue(self, connection: Redis) -> Queue:
        """Return the queue into which the driver puts jobs."""

    @classmethod
    @abstractmethod
    def arguments(cls, setup: BackendContext) -> Sequence[str]:
        """Return the arguments of the worker command."""

    def start(self) -> None:
        """Create the client and its queue; it connects with the first job."""
        import redis
        import rq

        # Without this, redis-py ends a blocking read after 5 s, and `result` may wait for longer.
        url = self.setup.endpoints[Service.REDIS]
        self._queue = self.queue(redis.Redis.from_url(url, socket_timeout=None))
        retries = self.setup.settings.get("retry", 0)
        self._options = {"retry": rq.Retry(max=retries)} if retries else {}

    def submit(self, task: Task) -> Job:
        """Enqueue the task and return its job."""
        return self._enqueue(task, **self._options)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Job:
        """Enqueue it with a `Retry`, up to three times (Exceptions & Retries)."""
        from rq import Retry

        return self._enqueue(task, retry=Retry(max=3, interval=round(delay_s)))

    def submit_group(self, tasks: Sequence[Task]) -> Job:
        """Enqueue the group, and a job that depends on all of it (RQ docs, Job Dependencies)."""
        from rq import Queue

        calls = ((execution.entry(task.function), task.arguments) for task in tasks)
        # All jobs in one pipeline of Redis (RQ docs, Bulk Job Enqueueing).
        jobs = self._queue.enqueue_many(Queue.prepare_data(*call) for call in calls)
        return self._queue.enqueue(execution.noop_join, depends_on=jobs)

    def submit_chain(self, tasks: Sequence[Task]) -> Job:
        """Enqueue jobs, each of which depends on the previous one (RQ docs, Job Dependencies)."""
        first, *rest = tasks
        job = self._enqueue(first)
        for task in rest:
            job = self._enqueue(task, depends_on=job)
        return job

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Job:
        """Enqueue it at the front or the end of the queue (RQ's README, Job Prioritization)."""
        return self._enqueue(task, at_front=urgent)

    def _enqueue(self, task: Task, **options: Any) -> Job:
        run = execution.entry(task.function)
        return self._queue.enqueue(run, *task.arguments, **options)

    def result(self, handle: Job, timeout_s: float) -> Any:
        """Wait on the job's result stream (RQ docs, Results).

        Raises:
            RuntimeError: The job failed; the message is the worker's traceback.
        """
        # Whole seconds, and 0 would mean not to wait at all (RQ source, latest_result).
        outcome = handle.latest_result(timeout=max(1, round(timeout_s)))
        if outcome is None:
            raise TimeoutError(f"Job {handle.id} had no result after {timeout_s} s.")
        if outcome.type is not outcome.Type.SUCCESSFUL:
            raise RuntimeError(outcome.exc_string)
        return outcome.return_value

    def state_of(self, handle: Job) -> TaskState:
        """Read the job's status from Redis (RQ docs, Jobs, Job Status)."""
        from rq.exceptions import InvalidJobOperation

        try:
            status = handle.get_status()
        except InvalidJobOperation:  # the job is not in Redis
            return TaskState.MISSING
        return STATES.get(status.value, TaskState.QUEUED)

    def stop(self) -> None:
        """Close the client's connections."""
        self._queue.connection.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return RQ's defaults, overridden by the settings of variant and profile."""
        from rq import Queue, defaults

        installed = {
            name.removeprefix("DEFAULT_").lower(): value
            for name, value in vars(defaults).items()
            if name.startswith("DEFAULT_")
        }
        # The only default whose name differs from its option.
        installed["maintenance_interval"] = installed.pop("maintenance_task_interval")
        return {**installed, "job_timeout": Queue.DEFAULT_TIMEOUT, **self.setup.settings}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the expiry of a heartbeat, and the time until the next maintenance.

        An abandoned job without retries left fails then. An idle worker checks for maintenance
        after each blocking dequeue, which lasts `worker_ttl` - 15 s (RQ source, worker/base.py). A
        job that has been popped, but not marked as started, is found by one maintenance and
        handled by the first that is more than a minute later (intermediate_queue.py).
        """
        beats = not settings.get("worker_class", "").endswith("SimpleWorker")
        heartbeat_s = HEARTBEAT_S if beats else JOB_TIMEOUT_S
        wait_s = settings.get("worker_ttl", WORKER_TTL_S) - 15
        n_waits = settings.get("maintenance_interval", MAINTENANCE_S) // wait_s + 1
        every_s = n_waits * wait_s
        # RQ adds 60 s to both before it regards a job as abandoned (RQ source, get_heartbeat_ttl).
        marked_s = float(heartbeat_s + 60 + every_s)
        if is_started:
            return marked_s
        return max(marked_s, float(every_s * (60 // every_s + 2)))

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot, or the pool of a node."""
        settings, slots = setup.settings, setup.topology.workers_per_node
        preloading = [PRELOADING] if settings.get("preload") else []
        argv = [sys.executable, "-m", *preloading, cls.module, settings["command"]]
        argv += cls.arguments(setup)
        for option in filter(settings.__contains__, OPTIONS):
            argv += [f"--{option.replace('_', '-')}", str(settings[option])]
        # Without a scheduler, RQ never enqueues a retry that waits (Exceptions & Retries).
        if settings.get("with_scheduler"):
            argv.append("--with-scheduler")
        if settings["command"].endswith("pool"):
            return [Command((*argv, "--num-workers", str(slots)), slots)]
        return [Command(tuple(argv), slots=1)] * slots
