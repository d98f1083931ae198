"""Contains a minimal Django project, which all backends that need Django share.

The adapter defines a trial's settings (installed apps, queues, schedules). Each process receives
them in the variable ``LAB_DJANGO``; the module `settings` merges them into the base settings.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from lab.core.model import BackendContext

VARIABLE = "LAB_DJANGO"
# `python manage.py` of Django's documentation, independent of the working directory.
MANAGE = (sys.executable, "-m", "lab.backends._django.manage")
# The auto-reloader would run a second process, and watch all source files during the trial.
SERVER = (*MANAGE, "runserver", "--noreload", "127.0.0.1:{port}")
# The server with its pages. Python's web server reads the user's name from REMOTE_USER.
PAGES = ("env", "REMOTE_USER=lab", *SERVER)


def credentials(password: str) -> dict[str, str]:
    """Return the headers that a request for a page of the project needs (RFC 6750)."""
    return {"Authorization": f"Bearer {password}"}


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that make a process use the project with `settings`.

    ``INSTALLED_APPS`` extends the base setting, ``DATABASE`` overrides fields of the only database,
    and any other name replaces the base setting. Values must be JSON serialisable. Texts may
    contain variables, such as ``$LAB_LEDGER``, which each process expands.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "lab.backends._django.settings",
        VARIABLE: json.dumps(dict(settings)),
    }


def use(settings: Mapping[str, Any]) -> None:
    """Set up Django in this process, which is possible only once per process."""
    os.environ.update(environment(settings))
    import django

    django.setup()


def database(setup: BackendContext) -> dict[str, Any]:
    """Return the fields of ``DATABASE`` of a trial; none: those of the project, which has SQLite.

    The settings `database`, the server, and `conn_max_age` are not those of a backend, but of
    Django.
    """
    settings, fields = setup.settings, dict[str, Any]()
    if "database" in settings:
        fields = _postgres(setup.endpoints[settings["database"]])
    if "conn_max_age" in settings:
        fields["CONN_MAX_AGE"] = settings["conn_max_age"]
    return fields


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


def database_in_force() -> dict[str, Any]:
    """Return the settings of the database in this process, without its address."""
    from django.db import connections

    database = connections.settings["default"]
    return {
        "database": database["ENGINE"],
        "database_options": database["OPTIONS"],
        "conn_max_age": database["CONN_MAX_AGE"],
    }
