"""Tests the schedules of django-q2: their rows, the calls of their firings, and their removal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# In a separate process, because Django can be set up only once per process. It runs the scheduler
# of a cluster for due rows, and prints the calls that a worker would receive.
SCRIPT = """
import datetime
from django.core.management import call_command
from lab.planning import registry
from lab.core.errors import UsageError
from lab.core.model import Job, Topology
chosen = registry.select("django-q[orm+sqlite]")
backend = chosen.backend(registry.setup(chosen, Topology(1, 1, 1), {}))
backend.start()
call_command("migrate", verbosity=0)
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
jobs = [Job(7, "workloads.noop:run", 1, every_s=120.0)]
jobs += [Job(8, "workloads.payload:run", b"\\x00'", cron="*/2 * * * *")]
handles = [backend.schedule(job) for job in jobs]
for row in Schedule.objects.order_by("id"):
    print(row.get_schedule_type_display(), row.minutes, row.cron)
Schedule.objects.update(next_run=timezone.now() - datetime.timedelta(seconds=1))
scheduler()
for queued in OrmQ.objects.order_by("id"):
    print(queued.func(), *queued.args())
for handle in handles:
    backend.unschedule(handle)
print(Schedule.objects.count(), "left")
try:
    backend.schedule(Job(9, "workloads.noop:run", 1, every_s=90.0))
except UsageError as error:
    print(error)
backend.stop()
"""


def test_schedule_creates_a_row_with_the_jobs_call(tmp_path: Path) -> None:
    """Interval, cron expression and arguments are unchanged; `unschedule` deletes the row."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, "LAB_LEDGER": str(tmp_path / "ledger")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "Minutes 2 None",
        "Cron None */2 * * * *",
        "lab.worker.execution.execute 7 workloads.noop:run 1",
        'lab.worker.execution.execute 8 workloads.payload:run b"\\x00\'"',
        "0 left",
        "django-q2 schedules by whole minutes, not every 90 s.",
    ]
