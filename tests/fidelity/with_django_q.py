"""django-q2 with its own cluster command, by broker and database; also the settings of Django."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any
from urllib.parse import urlsplit

import django

from tests.fidelity import stamps

NAME = "tests.fidelity.with_django_q"
SECRET_KEY = "not-a-secret"  # noqa: S105
# Those of `startproject` that have tables, because SQLite reads the schema at each connection:
# 130 us of CPU time more for 14 tables than for 3.
PROJECT = [f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions")]
INSTALLED_APPS = [*PROJECT, "django_q"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("FIDELITY_DATABASE", ""),
        # Else writers in several processes find the database locked.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
if "FIDELITY_POSTGRES" in os.environ:
    address = urlsplit(os.environ["FIDELITY_POSTGRES"])
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": address.hostname,
        "PORT": address.port,
        "USER": address.username,
        "PASSWORD": address.password,
        "NAME": address.path.removeprefix("/"),
    }
Q_CLUSTER: dict[str, Any] = {"workers": int(os.environ.get("FIDELITY_WORKERS", "1"))}
if "FIDELITY_REDIS" in os.environ:
    Q_CLUSTER["redis"] = os.environ["FIDELITY_REDIS"]
else:
    Q_CLUSTER["orm"] = "default"
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
    }


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Make the tables, start a cluster, warm it up, queue all tasks and wait for them."""
    given = stamps.options(__doc__, "redis", "redis+postgres", "orm+sqlite", "orm+postgres")
    broker, _, database = given.variant.partition("+")
    os.environ |= {"DJANGO_SETTINGS_MODULE": NAME, "FIDELITY_WORKERS": str(given.workers)}
    if broker == "redis":
        os.environ["FIDELITY_REDIS"] = given.redis
    if database == "postgres":
        os.environ["FIDELITY_POSTGRES"] = given.postgres
    manage = [sys.executable, "-m", "django"]
    with tempfile.TemporaryDirectory() as folder, stamps.file():
        os.environ["FIDELITY_DATABASE"] = f"{folder}/database"
        for command in ("migrate", "createcachetable"):
            subprocess.run([*manage, command, "--verbosity", "0"], check=True)
        django.setup()
        from django_q.tasks import async_task

        with stamps.workers([[*manage, "qcluster"]], given.worker_cpus):
            for tasks in (20 * given.workers, given.tasks):
                for number in range(tasks):
                    # By name: workers know what this script defines under another.
                    async_task(f"{NAME}.noop", number)
                instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
