"""One minimal Django project, which serves every backend that needs Django.

A trial's own settings (installed apps, queues, schedules) are the adapter's: they reach each
process in one variable, ``LAB_DJANGO``, and `lab.backends._django.settings` lays them over the
base.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

VARIABLE = "LAB_DJANGO"
# `python manage.py`, as Django's documentation has it, wherever the project lies.
MANAGE = (sys.executable, "-m", "lab.backends._django.manage")
SERVER = (*MANAGE, "runserver", "--noreload", "127.0.0.1:{port}")
# Its pages, for a visitor whom the web server names: Python's own takes the name from here.
PAGES = ("env", "REMOTE_USER=lab", *SERVER)


def credentials(password: str) -> dict[str, str]:
    """Return the headers with which a page of the project is to be asked for (RFC 6750)."""
    return {"Authorization": f"Bearer {password}"}


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that make a process use the project with `settings`.

    ``INSTALLED_APPS`` adds to the base's, ``DATABASE`` changes fields of its one database; any
    other name replaces it. Values are JSON-able; those that are text may name variables, as in
    ``$LAB_LEDGER``, which each process replaces by its own.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "lab.backends._django.settings",
        VARIABLE: json.dumps(dict(settings)),
    }


def use(settings: Mapping[str, Any]) -> None:
    """Set Django up in this process; it can be done once in a process, and not undone."""
    os.environ.update(environment(settings))
    import django

    django.setup()
