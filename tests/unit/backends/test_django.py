"""Tests the access to the pages of the shared Django project."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.backends import _django

# In a separate process, because Django can be set up only once per process.
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


def test_pages_are_read_only_and_need_password_and_user() -> None:
    """401 without the password, 302 to the login without a user, 403 for a page that changes."""
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
