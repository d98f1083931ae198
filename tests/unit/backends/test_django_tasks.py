"""Tests the adapter of Django's tasks: its priorities, states and settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.backends.django_tasks import DjangoTasks
from lab.core.model import Service, Topology
from lab.planning import registry

# In a separate process, because Django can be set up only once per process. Its worker ends when
# no task is left.
IN_DATABASE = """
import json
from django.core.management import call_command
from lab.core.model import Task, Topology
from lab.planning import registry
chosen = registry.select("django-tasks[database+sqlite]@tuned")
backend = chosen.backend(registry.setup(chosen, Topology(1, 1, 1), {}))
backend.start()
call_command("migrate", verbosity=0)
last = backend.submit_with_priority(Task(1, "workloads.noop:run", 1), urgent=False)
first = backend.submit_with_priority(Task(2, "workloads.noop:run", 2), urgent=True)
failing = backend.submit(Task(3, "tests.nowhere:run", 3))
coroutine = backend.submit(Task(4, "workloads.noop:run_async", 4))
handles = (last, first, failing, coroutine)
print(*(backend.state_of(handle) for handle in handles))
call_command("db_worker", batch=True, startup_delay=False, verbosity=0)
print(*(backend.state_of(handle) for handle in handles))
print(*(handle.args[0] for handle in sorted(handles, key=lambda handle: handle.started_at)))
first.db_result.delete()
print(backend.state_of(first))
print(json.dumps(backend.effective_settings()))
backend.stop()
"""
SETTINGS = """
import json
from lab.core.model import Service, Topology
from lab.planning import registry
chosen = registry.select("django-tasks[rq]")
endpoints = {Service.REDIS: "redis://:secret@127.0.0.1:1/0"}
backend = chosen.backend(registry.setup(chosen, Topology(1, 1, 2), endpoints))
backend.start()
print(json.dumps(backend.effective_settings()))
"""


def lines_of(script: str, folder: Path) -> list[str]:
    """Run a script with a ledger in `folder`, and return the lines that it prints."""
    (folder / "ledger").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "LAB_LEDGER": str(folder / "ledger"), "LAB_NODE": "0", "LAB_SLOT": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_database_orders_tasks_by_priority_and_keeps_their_states(tmp_path: Path) -> None:
    """The worker takes the urgent task first; a row that is deleted is missing."""
    before, after, order, deleted, settings = lines_of(IN_DATABASE, tmp_path)
    assert before == "queued queued queued queued"
    assert after == "finished finished failed finished"
    assert order == "2 1 3 4"
    assert deleted == "missing"
    in_force = json.loads(settings)
    assert (in_force["interval"], in_force["conn_max_age"], in_force["reload"]) == (
        0.1,
        None,
        False,
    )
    assert in_force["database"] == "django.db.backends.sqlite3"
    assert "worker_id" not in in_force


def test_settings_of_rq_are_those_of_its_worker_command(tmp_path: Path) -> None:
    """They have no address, and no database."""
    (line,) = lines_of(SETTINGS, tmp_path)
    in_force: dict[str, Any] = json.loads(line)
    assert (in_force["job_class"], in_force["burst"]) == ("django_tasks_rq.Job", False)
    assert "secret" not in line
    assert "database" not in in_force


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("django-tasks", ["db_worker"]),
        ("django-tasks@tuned", ["db_worker", "--interval", "0.1"]),
        ("django-tasks[rq]", ["rqworker", "default", "--job-class", "django_tasks_rq.Job"]),
    ],
)
def test_each_slot_has_a_worker_process(label: str, options: list[str]) -> None:
    """Neither worker command runs more than one task at a time."""
    endpoints: dict[str, str] = {Service.REDIS: "redis://:secret@127.0.0.1:1/0"}
    setup = registry.setup(registry.select(label), Topology(1, 2, 2), endpoints)
    commands = DjangoTasks.node_commands(setup)
    assert [command.slots for command in commands] == [1, 1]
    assert list(commands[0].argv[3:]) == options
