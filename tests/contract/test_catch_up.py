"""Tests what django-q2 starts after an outage of its scheduler (docs, Configuration, catch_up).

A schedule by the minute plays each missed time slot; one with a cron line starts one run, because
its next slot is computed from the present instant.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

# Six slots were due in the outage. The scheduler then makes more passes than that.
OUTAGE = """
from datetime import timedelta

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of the test",
    USE_TZ=True,
    INSTALLED_APPS=["django_q"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    Q_CLUSTER={"orm": "default"},
)
django.setup()

from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler

call_command("migrate", verbosity=0)
for kind, when in (("I", {"minutes": 1}), ("C", {"cron": "* * * * *"})):
    Schedule.objects.create(name=kind, func="math.sqrt", args="4", schedule_type=kind, **when)
Schedule.objects.update(next_run=timezone.now() - timedelta(minutes=5))
for _ in range(10):
    scheduler()
queued = [row.task["group"] for row in OrmQ.objects.all()]
print(queued.count("I"), queued.count("C"))
"""


@pytest.mark.slow
def test_django_q_plays_the_missed_slots_of_minutes_and_one_of_a_cron_line() -> None:
    """`Schedule.calculate_next_run` starts at the slot before, or for a cron line at now."""
    done = subprocess.run(
        [sys.executable, "-c", OUTAGE], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["6", "1"]
