"""Runs tasks with Django's tasks framework, in its database or in RQ: settings choose the back end.

Django 6 has the framework; before it, the package django-tasks is its backport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _django
from lab.backends._django.backend import ProjectBackend
from lab.backends._rq import QUEUE, RqJobs
from lab.core.backend import DEFAULT
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Profile,
    Serializer,
    Service,
    Task,
    Variant,
)
from lab.core.monitor import Monitor
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.plain_values import plain_values
from lab.worker import execution

DATABASE, RQ = "django_tasks_db.DatabaseBackend", "django_tasks_rq.RQBackend"
PROMISED = frozenset({Capability.SUBMIT, Capability.PARALLEL, Capability.AWAITS})
IN_DATABASE = PROMISED | {Capability.PRIORITY, Capability.MONITOR}
# The statuses of a result (Django docs, Tasks, Task results).
STATES: Mapping[str, TaskState] = {
    "READY": TaskState.QUEUED,
    "RUNNING": TaskState.RUNNING,
    "FAILED": TaskState.FAILED,
    "SUCCESSFUL": TaskState.FINISHED,
}


def _variant(name: str, promised: frozenset[Capability], summary: str, **more: Any) -> Variant:
    return Variant(
        name,
        promised,
        summary,
        serializer=Serializer.PLAIN_JSON,
        contract=Contract.AT_MOST_ONCE,
        **more,
    )


class DjangoTasks(ProjectBackend):
    """Enqueues each task with `enqueue`; each slot of a node is one worker process.

    A result can be refreshed, but no call waits for one. The framework has no retries, and a worker
    of the database marks a row as running before it runs the task: nothing runs that row again if
    the worker dies. Only the database back end takes a priority: that of RQ refuses one with
    InvalidTaskError (0.12.0), although its README describes the highest.
    """

    family = "django-tasks"
    references = ("raw-sql[sqlite]",)
    summary = "Django's tasks, in its database or in RQ"
    packages = ("django", "django_tasks")
    extra = "django-tasks"
    by_default = False
    variants = (
        _variant(
            "database+sqlite",
            IN_DATABASE,
            "`manage.py db_worker` on SQLite (README of django-tasks-db).",
            settings={"backend": DATABASE},
            packages=("django_tasks_db",),
            ack_means=AckMeans.ACCEPTED,
        ),
        _variant(
            "database+postgres",
            IN_DATABASE | {Capability.NODES},
            "`manage.py db_worker` on PostgreSQL (README of django-tasks-db).",
            settings={"backend": DATABASE, "database": Service.POSTGRES.value},
            services=(Service.POSTGRES,),
            packages=("django_tasks_db", "psycopg"),
            references=("raw-sql[postgres]",),
            ack_means=AckMeans.ON_DISK,
        ),
        _variant(
            "rq",
            PROMISED | {Capability.NODES},
            "`manage.py rqworker --job-class django_tasks_rq.Job` (README of django-tasks-rq).",
            settings={"backend": RQ},
            services=(Service.REDIS,),
            packages=("django_tasks_rq", "django_rq", "rq", "redis"),
            references=("raw-redis[medium]",),
            ack_means=AckMeans.ACCEPTED,
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "tuned",
            {"conn_max_age": None, "interval": 0.1},
            "conn_max_age: a connection to the database stays open; by default, a worker closes it "
            "after each task (Django docs, Databases, Persistent connections). interval, in s: an "
            "idle worker looks for tasks ten times as often (help of db_worker).",
            ("database+sqlite", "database+postgres"),
        ),
    )

    def start(self) -> None:
        """Set up Django in this process, which declares the tasks."""
        super().start()
        from lab.backends._django import tasks

        self._tasks = tasks
        self._execute = {
            execution.execute: tasks.execute,
            execution.execute_async: tasks.execute_async,
        }

    def submit(self, task: Task) -> Any:
        """Enqueue the task and return its `TaskResult`."""
        to_run = self._execute[execution.entry(task.function)]
        return to_run.enqueue(*task.arguments)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Enqueue it with a priority, of which the highest is first (Django docs, Tasks)."""
        to_run = self._execute[execution.entry(task.function)].using(priority=100 * urgent)
        return to_run.enqueue(*task.arguments)

    def state_of(self, handle: Any) -> TaskState:
        """Refresh the result and return its status (Django docs, Tasks, Task results)."""
        from django_tasks.exceptions import TaskResultDoesNotExist

        try:
            handle.refresh()
        # The RQ back end raises that of the backport, with any version of Django.
        except (TaskResultDoesNotExist, self._tasks.TaskResultDoesNotExist):
            return TaskState.MISSING
        return STATES[handle.status]

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the options of the worker command with their defaults, and the database's."""
        from django.core.management import load_command_class

        command = self.node_commands(self.setup)[0].argv[len(_django.MANAGE) :]
        app = "django_rq" if _on_rq(self.setup) else "django_tasks_db"
        parser = load_command_class(app, command[0]).create_parser("manage.py", command[0])
        options = vars(parser.parse_args(command[1:]))
        # Each process has its own id.
        plain = plain_values(options, ("worker_id",))
        in_force = {} if _on_rq(self.setup) else _django.database_in_force()
        return {**plain, **self.setup.settings, **in_force}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return that of RQ, after which an abandoned job fails; the database has none."""
        if settings["backend"] != RQ:
            return None
        return RqJobs.redelivery_horizon_s(settings, is_started=is_started)

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the command that creates the tables."""
        return [] if _on_rq(setup) else super().preparation(setup)

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot."""
        argv = [*_django.MANAGE, "db_worker"]
        if _on_rq(setup):
            argv = [*_django.MANAGE, "rqworker", QUEUE, "--job-class", "django_tasks_rq.Job"]
        elif "interval" in setup.settings:
            argv += ["--interval", str(setup.settings["interval"])]
        return [Command(tuple(argv), slots=1)] * setup.topology.workers_per_node

    @classmethod
    def monitor(cls, setup: BackendContext) -> Monitor:
        """Return Django's admin, whose list of results has the name of each task."""
        path = "/admin/django_tasks_database/dbtaskresult/"
        return Monitor(_django.PAGES, path, ">execute<", _django.credentials(setup.password))

    @classmethod
    def project(cls, setup: BackendContext) -> Mapping[str, Any]:
        """Return the app of the back end and its settings (Django docs, Tasks, Configuring)."""
        back_end = setup.settings["backend"]
        app, _, _ = back_end.partition(".")
        project: dict[str, Any] = {
            "INSTALLED_APPS": ["django_tasks", app],
            "TASKS": {"default": {"BACKEND": back_end}},
            "DATABASE": _django.database(setup),
        }
        if _on_rq(setup):
            project["INSTALLED_APPS"].append("django_rq")
            project["RQ_QUEUES"] = {QUEUE: {"URL": setup.endpoints[Service.REDIS]}}
        return project


def _on_rq(setup: BackendContext) -> bool:
    return bool(setup.settings["backend"] == RQ)
