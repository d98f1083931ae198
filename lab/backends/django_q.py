"""django-q2 on Redis or on Django's ORM: tasks by `async_task`, workers by `manage.py qcluster`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from lab import django_site, kernel
from lab.backend import DEFAULT, Backend, Monitor
from lab.model import Capability, Command, Profile, Service, Setup, Task, Variant

ONE_MACHINE = frozenset(
    {Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.MONITOR}
)
CAPABILITIES = ONE_MACHINE | {Capability.NODES}
REDIS = {"redis": Service.REDIS.value}
ORM = {"orm": "default"}
POSTGRES = {"database": Service.POSTGRES.value}
# Settings that are not django-q2's own; those are keys of `Q_CLUSTER` (docs, Configuration).
OURS = ("database", "conn_max_age", "reuse_broker")
IN_FORCE = (
    *("ACK_FAILURES", "BULK", "CACHED", "CATCH_UP", "COMPRESSED", "CPU_AFFINITY", "GUARD_CYCLE"),
    *("DAEMONIZE_WORKERS", "MAX_ATTEMPTS", "MAX_RSS", "ORM", "POLL", "QUEUE_LIMIT", "RECYCLE"),
    *("RETRY", "SAVE_LIMIT", "SAVE_LIMIT_PER", "SCHEDULER", "SYNC", "TIMEOUT", "WORKERS"),
)


class DjangoQ(Backend):
    """Queues each task by `async_task`; one `qcluster` a node, with a worker process for each slot.

    Results and schedules are rows of Django's database. Where that is SQLite it is a file, so the
    nodes of those variants would have to be one machine.
    """

    family = "django-q"
    summary = "django-q2 on Redis or Django's ORM"
    packages = ("django_q",)
    extra = "django-q"
    variants = (
        Variant(
            "redis",
            ONE_MACHINE,
            "Redis broker, results in SQLite (django-q2 docs, Brokers, Redis).",
            REDIS,
            (Service.REDIS,),
            ("redis",),
        ),
        Variant(
            "redis+postgres",
            CAPABILITIES,
            "Redis broker, results in PostgreSQL (django-q2 docs, Brokers, Redis).",
            REDIS | POSTGRES,
            (Service.REDIS, Service.POSTGRES),
            ("redis", "psycopg"),
        ),
        Variant(
            "orm+sqlite",
            ONE_MACHINE,
            "ORM broker on SQLite, which is the cache as well (django-q2 docs, Brokers, ORM).",
            ORM,
        ),
        Variant(
            "orm+postgres",
            CAPABILITIES,
            "ORM broker on PostgreSQL, which is the cache as well (django-q2 docs, Brokers, ORM).",
            ORM | POSTGRES,
            (Service.POSTGRES,),
            ("psycopg",),
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {"timeout": 45, "retry": 60, "ack_failures": True},
            "retry: a task that was not acknowledged is presented again after 60 s, as installed "
            "(django-q2 docs, Configuration, retry). timeout: none as installed, and must be less "
            "than retry, or a long task runs twice (the same). ack_failures: a task that raised "
            "counts as delivered, else it is presented again every 60 s without end "
            "(Configuration, ack_failures). The Redis broker has no receipts: what a killed "
            "worker had is lost whatever is set (Brokers, Redis).",
            variants=("orm+sqlite", "orm+postgres"),
        ),
        Profile(
            "tuned",
            {
                "reuse_broker": True,
                "bulk": 10,
                "queue_limit": 50,
                "save_limit": 0,
                "conn_max_age": None,
            },
            "reuse_broker: async_task is given a broker instead of connecting for each task "
            "(django-q2 docs, Tasks, Connection pooling). bulk: tasks that the ORM broker takes in "
            "one go, and queue_limit: tasks kept in memory, both as in the docs' example of the "
            "ORM broker (Configuration, bulk, queue_limit, orm). save_limit: all successes are "
            "kept, not the last 250, so that none is looked up and deleted after each task "
            "(Configuration, save_limit). conn_max_age: database connections stay open between "
            "tasks (Django docs, Databases, Persistent connections).",
        ),
    )

    def start(self) -> None:
        """Set Django up in this process, and connect once where the profile wants that."""
        django_site.use(_django_settings(self.setup))
        from django_q.brokers import get_broker

        reuse = self.setup.settings.get("reuse_broker")
        self._options = {"broker": get_broker()} if reuse else {}

    def submit(self, task: Task) -> str:
        """Queue the task and return its id."""
        from django_q.tasks import async_task

        arguments = (task.id, task.function, task.argument)
        task_id: str = async_task(kernel.execute, *arguments, **self._options)
        return task_id

    def result(self, handle: str, timeout_s: float) -> Any:
        """Wait for the task's row, which `fetch` looks for every 10 ms, as `result` does.

        Raises:
            RuntimeError: The task failed; `result` would have returned the message as an answer.
        """
        from django_q.tasks import fetch

        done = fetch(handle, wait=round(timeout_s * 1000))
        if done is None:
            raise TimeoutError(f"Task {handle} had no result after {timeout_s} s.")
        if not done.success:
            raise RuntimeError(done.result)
        return done.result

    def stop(self) -> None:
        """Close this process's connections to the database."""
        from django.db import connections

        connections.close_all()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return what django-q2's configuration came to, and what it has of Django's."""
        from django.conf import settings
        from django_q.conf import Conf

        database = settings.DATABASES["default"]
        return {
            **{name.lower(): getattr(Conf, name) for name in IN_FORCE},
            **self.setup.settings,
            "database": database["ENGINE"],
            "database_options": database["OPTIONS"],
            "conn_max_age": database["CONN_MAX_AGE"],
            "cache": settings.CACHES["default"]["BACKEND"],
        }

    @classmethod
    def preparation(cls, setup: Setup) -> Sequence[Command]:
        """Return the commands that make the tables (docs, Installation; Django docs, Caching)."""
        made = [Command((*django_site.MANAGE, "migrate"))]
        if "orm" in setup.settings:
            made.append(Command((*django_site.MANAGE, "createcachetable")))
        return made

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """Return the one cluster of a node (docs, Cluster)."""
        argv = (*django_site.MANAGE, "qcluster")
        return [Command(argv, setup.topology.workers_per_node)]

    @classmethod
    def monitor(cls, setup: Setup) -> Monitor:
        """Return Django's admin, whose list of successes names the function of each (Admin)."""
        function = f"{kernel.__name__}.execute"
        return Monitor(django_site.PAGES, "/admin/django_q/success/", function)

    @classmethod
    def worker_environment(cls, setup: Setup) -> Mapping[str, str]:
        """Return what makes `manage.py` use the trial's settings."""
        return django_site.environment(_django_settings(setup))


def _django_settings(setup: Setup) -> dict[str, Any]:
    settings = setup.settings
    cluster = {name: value for name, value in settings.items() if name not in OURS}
    # Else as many as this machine has CPUs, whatever the node has.
    cluster["workers"] = setup.topology.workers_per_node
    made: dict[str, Any] = {"INSTALLED_APPS": ["django_q"], "Q_CLUSTER": cluster, "DATABASE": {}}
    if "redis" in settings:
        cluster["redis"] = setup.endpoints[settings["redis"]]
    else:
        # Clusters tell their state through the cache, which Django keeps in each process alone.
        backend = "django.core.cache.backends.db.DatabaseCache"
        made["CACHES"] = {"default": {"BACKEND": backend, "LOCATION": "cache"}}
    if "database" in settings:
        made["DATABASE"] = _postgres(setup.endpoints[settings["database"]])
    if "conn_max_age" in settings:
        made["DATABASE"]["CONN_MAX_AGE"] = settings["conn_max_age"]
    return made


def _postgres(endpoint: str) -> dict[str, Any]:
    address = urlsplit(endpoint)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": address.hostname,
        "PORT": address.port,
        "USER": address.username,
        "PASSWORD": address.password,
        "NAME": address.path.removeprefix("/"),
        "OPTIONS": {},
    }
