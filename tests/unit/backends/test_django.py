"""The one Django project: who may see its pages, and that nobody may change anything there."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.backends import _django

# In a process of its own: Django is set up once in a process.
SCRIPT = """
import django
from django.core.management import call_command
from django.test import Client
django.setup()
call_command("migrate", verbosity=0)
password = {"HTTP_AUTHORIZATION": "Bearer secret"}
for visitor in (
    Client(REMOTE_USER="lab"),
    Client(REMOTE_USER="lab", HTTP_AUTHORIZATION="Bearer guess"),
    Client(**password),
    Client(REMOTE_USER="lab", **password),
):
    for page in ("schedule/", "schedule/add/", "success/"):
        print(page, visitor.get(f"/admin/django_q/{page}").status_code)
"""


def test_a_visitor_whom_the_server_names_may_look_and_not_touch() -> None:
    """Without the password nobody has a page, and without a name the login.

    Neither lets anybody schedule a function of theirs.
    """
    site = _django.environment({"INSTALLED_APPS": ["django_q"], "DATABASE": {"NAME": ":memory:"}})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, **site, "LAB_SETUP": '{"password": "secret"}'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:-1] == [
        *("schedule/ 401", "schedule/add/ 401", "success/ 401") * 2,
        *("schedule/ 302", "schedule/add/ 302", "success/ 302"),
        *("schedule/ 200", "schedule/add/ 403", "success/ 200"),
    ]
