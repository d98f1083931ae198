"""Runs tasks with django-q2 on Redis or on Django's ORM, in clusters of `manage.py qcluster`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.backends import _django, _django_q
from lab.backends._django.backend import ProjectBackend
from lab.core.backend import DEFAULT
from lab.core.faults import ENDED_WORKERS, FaultKind
from lab.core.model import BackendContext, Capability, Command, Job, Profile, Service, Task, Variant
from lab.core.monitor import Monitor
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.worker import execution

if TYPE_CHECKING:
    from django_q.models import Schedule

PROMISED = {
    Capability.SUBMIT,
    Capability.RESULT,
    Capability.PARALLEL,
    Capability.SCHEDULE,
    Capability.RESCHEDULE,
    Capability.MONITOR,
    Capability.GROUP,
    Capability.CHAIN,
}
EXECUTE = f"{execution.__name__}.execute"
# Faults after which the ORM broker presents a task again.
SAFE_AGAINST = (
    *ENDED_WORKERS,
    *(FaultKind.WORKER_PAUSE, FaultKind.BROKER_KILL, FaultKind.BROKER_PAUSE),
)
REDIS, POSTGRES = Service.REDIS, Service.POSTGRES
# The default of `retry` (docs, Configuration).
RETRY_S = 60
IN_FORCE = (
    *("ACK_FAILURES", "BULK", "CACHED", "CATCH_UP", "COMPRESSED", "CPU_AFFINITY", "GUARD_CYCLE"),
    *("DAEMONIZE_WORKERS", "MAX_ATTEMPTS", "MAX_RSS", "ORM", "POLL", "QUEUE_LIMIT", "RECYCLE"),
    *("RETRY", "SAVE_LIMIT", "SAVE_LIMIT_PER", "SCHEDULER", "SYNC", "TIMEOUT", "WORKERS"),
)


def _variant(name: str) -> Variant:
    broker, _, database = name.partition("+")
    settings: dict[str, Any] = {"redis": REDIS.value} if broker == "redis" else {"orm": "default"}
    promised, services, packages, references = PROMISED, [REDIS], ["redis"], tuple[str, ...]()
    ack, is_orm = AckMeans.ACCEPTED, broker == "orm"
    summary = "Redis broker (django-q2 docs, Brokers, Redis), results in "
    if is_orm:
        promised, services, packages = promised | {Capability.RETRY}, [], []
        references = (f"raw-sql[{database}]", "deadline-loop")
        ack = AckMeans.ON_DISK if database == POSTGRES else AckMeans.ACCEPTED
        summary = "ORM broker (django-q2 docs, Brokers, Django ORM); queue, results and cache in "
    if database == POSTGRES:
        promised = promised | {Capability.NODES}
        settings["database"] = POSTGRES.value
        services.append(POSTGRES)
        packages.append("psycopg")
    summary += "PostgreSQL." if database == POSTGRES else "SQLite."
    return Variant(
        name,
        frozenset(promised),
        summary,
        settings,
        services=tuple(services),
        packages=tuple(packages),
        references=references,
        ack_means=ack,
        contract=Contract.AT_LEAST_ONCE if is_orm else Contract.AT_MOST_ONCE,
        # With the default of `ack_failures`, every `retry` seconds (docs, Configuration).
        redelivers_failed=is_orm,
    )


class DjangoQ(ProjectBackend):
    """Queues each task with `async_task`; each node runs a `qcluster` with one process per slot.

    Results and schedules are rows in Django's database. SQLite is a file on one machine, so that
    its variants have a single node.
    """

    family = "django-q"
    references = (
        "raw-redis[small]",
        "raw-redis[small+pipelined-10]",
        "raw-redis[small+pipelined-100]",
        "deadline-loop",
    )
    summary = "django-q2 on Redis or Django's ORM"
    packages = ("django", "django_q")
    extra = "django-q"
    # The unit of `Schedule.MINUTES` and of cron lines.
    finest_period_s = 60.0
    schedules_in_workers = True
    variants = tuple(map(_variant, ("redis", "redis+postgres", "orm+sqlite", "orm+postgres")))
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"timeout": 45, "retry": 60, "ack_failures": True},
            "retry: an unacknowledged task is delivered again after 60 s, which is the default "
            "(django-q2 docs, Configuration, retry). timeout: none by default; it must be less "
            "than retry, or a long task runs twice (the same). ack_failures: a failed task "
            "is acknowledged, else it is delivered again every 60 s without a limit "
            "(Configuration, ack_failures). The Redis broker has no acknowledgements: the tasks "
            "of a killed worker are lost with any setting (Brokers, Redis). The row of a task is "
            "committed when async_task returns, and PostgreSQL has written it to disk (PostgreSQL "
            "docs, Reliability).",
            variants=("orm+sqlite", "orm+postgres"),
            safe_against=SAFE_AGAINST,
        ),
        Profile(
            "tuned",
            {
                "reuse_broker": True,
                "bulk": 10,
                "save_limit": 0,
                "conn_max_age": None,
            },
            "reuse_broker: async_task receives a broker instead of connecting for each task "
            "(django-q2 docs, Tasks, Connection pooling). bulk: the ORM broker fetches ten tasks "
            "at a time, as in the docs' example (Configuration, bulk, orm). save_limit: all "
            "successes are stored, not only the last 250, so that none is looked up and deleted "
            "after each task (Configuration, save_limit). conn_max_age: database connections stay "
            "open between tasks (Django docs, Databases, Persistent connections).",
        ),
    )

    def start(self) -> None:
        """Set up Django in this process; connect once if the profile reuses the broker."""
        super().start()
        from django_q.brokers import get_broker

        reuse = self.setup.settings.get("reuse_broker")
        self._options = {"broker": get_broker()} if reuse else {}

    def submit(self, task: Task) -> str:
        """Queue the task and return its id."""
        from django_q.tasks import async_task

        task_id: str = async_task(execution.execute, *task.arguments, **self._options)
        return task_id

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> str:
        """Queue it as usual: a failed task is delivered again after `retry`, 60 s by default."""
        return self.submit(task)

    def submit_group(self, tasks: Sequence[Task]) -> tuple[str, int]:
        """Queue each task with the name of one group (django-q2 docs, Groups)."""
        from django_q.tasks import async_task

        name = f"group {tasks[0].id}"
        for task in tasks:
            async_task(execution.execute, *task.arguments, group=name, **self._options)
        return name, len(tasks)

    def submit_chain(self, tasks: Sequence[Task]) -> tuple[str, int]:
        """Queue the first task, whose message contains the others (django-q2 docs, Chains)."""
        from django_q.tasks import async_chain

        calls = [(execution.execute, task.arguments) for task in tasks]
        return async_chain(calls, **self._options), len(tasks)

    def join(self, handle: tuple[str, int], timeout_s: float) -> None:
        """Wait for all results of the group, which `result_group` counts every 10 ms."""
        from django_q.tasks import count_group, result_group

        name, count = handle
        result_group(name, wait=round(timeout_s * 1000), count=count)
        # `result_group` does not raise after its timeout: it returns what has ended.
        if count_group(name) < count:
            raise TimeoutError(f"{name} had not ended after {timeout_s} s.")

    def schedule(self, job: Job) -> Schedule:
        """Add a row of `Schedule` (docs, Schedules), which clusters read twice a minute."""
        from django_q.tasks import schedule

        return schedule(EXECUTE, *job.arguments, **_django_q.when(job))

    def reschedule(self, handle: Schedule, job: Job) -> Schedule:
        """Save the row with another schedule; its first firing is that of a new row."""
        from django.utils import timezone

        for field, value in {"minutes": None, "cron": None, **_django_q.when(job)}.items():
            setattr(handle, field, value)
        handle.next_run = timezone.now()
        # `Schedule.save` computes it only for new rows (django-q2 source, models.py).
        if job.cron:
            handle.next_run = handle.calculate_next_run()
        handle.save()
        return handle

    def unschedule(self, handle: Schedule) -> None:
        """Delete the row."""
        handle.delete()

    def result(self, handle: str, timeout_s: float) -> Any:
        """Wait for the task's row, which `fetch` looks up every 10 ms, like django-q2's `result`.

        Raises:
            RuntimeError: The task failed; `result` would return the message as an answer.
        """
        from django_q.tasks import fetch

        done = fetch(handle, wait=round(timeout_s * 1000))
        if done is None:
            raise TimeoutError(f"Task {handle} had no result after {timeout_s} s.")
        if not done.success:
            raise RuntimeError(done.result)
        return done.result

    def state_of(self, handle: str) -> TaskState:
        """Look the task up among the ended ones (docs, Tasks, fetch), then in the queue (Admin)."""
        from django.utils import timezone
        from django_q.models import OrmQ
        from django_q.tasks import fetch, queue_size

        if done := fetch(handle):
            return TaskState.FINISHED if done.success else TaskState.FAILED
        if "redis" in self.setup.settings:
            # The Redis broker reports only the length of its queue.
            return TaskState.UNKNOWN if queue_size() else TaskState.MISSING
        for row in OrmQ.objects.iterator():
            if row.task_id() == handle:
                # A delivered row is locked until its next delivery.
                is_locked = row.lock is not None and row.lock > timezone.now()
                return TaskState.RUNNING if is_locked else TaskState.QUEUED
        return TaskState.MISSING

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the effective settings of django-q2, and those of Django's database and cache."""
        from django.conf import settings
        from django_q.conf import Conf

        return {
            **{name.lower(): getattr(Conf, name) for name in IN_FORCE},
            **self.setup.settings,
            **_django.database_in_force(),
            "cache": settings.CACHES["default"]["BACKEND"],
        }

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return `retry` of the ORM broker; the Redis broker has no acknowledgements."""
        return float(settings.get("retry", RETRY_S)) if "orm" in settings else None

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the commands that create tables (docs, Installation; Django docs, Caching)."""
        cache = [Command((*_django.MANAGE, "createcachetable"))] if "orm" in setup.settings else []
        return [*super().preparation(setup), *cache]

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the single cluster of a node (docs, Cluster)."""
        argv = (*_django.MANAGE, "qcluster")
        return [Command(argv, setup.topology.workers_per_node)]

    @classmethod
    def monitor(cls, setup: BackendContext) -> Monitor:
        """Return Django's admin, whose list of successes shows each task's function (Admin)."""
        credentials = _django.credentials(setup.password)
        return Monitor(_django.PAGES, "/admin/django_q/success/", EXECUTE, credentials)

    @classmethod
    def project(cls, setup: BackendContext) -> Mapping[str, Any]:
        """Return the settings of the trial, with those of the cluster (docs, Configuration)."""
        return _django_q.project(setup)
