"""Django tasks with their worker commands, in a database or RQ; also the settings of Django."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any

import django

from tests.fidelity import stamps

NAME = "tests.fidelity.with_django_tasks"
BACKEND, REDIS = "FIDELITY_BACKEND", "FIDELITY_REDIS"
BACKENDS = {"database": "django_tasks_db.DatabaseBackend", "rq": "django_tasks_rq.RQBackend"}
WORKERS = {
    "database": ["db_worker"],
    "rq": ["rqworker", "default", "--job-class", "django_tasks_rq.Job"],
}
APPS = {"database": ["django_tasks_db"], "rq": ["django_tasks_rq", "django_rq"]}
TASKS = {"default": {"BACKEND": BACKENDS[os.environ.get(BACKEND, "database")]}}
if __name__ != "__main__":  # they contain the path of the database, which `main` chooses
    from tests.fidelity.with_django_q import DATABASES, PROJECT, SECRET_KEY

    __all__ = ["DATABASES", "SECRET_KEY"]
    INSTALLED_APPS = [*PROJECT, "django_tasks", *APPS[os.environ[BACKEND]]]
if os.environ.get(BACKEND) == "rq":
    RQ_QUEUES = {"default": {"URL": os.environ[REDIS]}}


def _noop(number: int) -> int:
    stamps.stamp()
    return number


def __getattr__(name: str) -> Any:
    # A task can be declared when Django has read its settings, which are in this module.
    if name != "noop":
        raise AttributeError(name)
    from django_tasks import task

    _noop.__qualname__ = name  # workers import the task by it
    return task(_noop)


def main() -> None:
    """Make the tables, start the workers, warm them up, enqueue all tasks and wait for them."""
    given = stamps.options(__doc__, "database+sqlite", "database+postgres", "rq")
    backend, _, database = given.variant.partition("+")
    os.environ |= {"DJANGO_SETTINGS_MODULE": NAME, BACKEND: backend}
    if backend == "rq":
        os.environ[REDIS] = given.redis
    if database == "postgres":
        os.environ["FIDELITY_POSTGRES"] = given.postgres
    manage = [sys.executable, "-m", "django"]
    with tempfile.TemporaryDirectory() as folder, stamps.file():
        os.environ["FIDELITY_DATABASE"] = f"{folder}/database"
        subprocess.run([*manage, "migrate", "--verbosity", "0"], check=True)
        django.setup()
        from tests.fidelity.with_django_tasks import noop

        commands = [[*manage, *WORKERS[backend]]] * given.workers
        with stamps.workers(commands, given.worker_cpus):
            for tasks in (20 * given.workers, given.tasks):
                for number in range(tasks):
                    noop.enqueue(number)
                instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
