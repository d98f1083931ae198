"""Tests the minutes in which huey enqueues a job of the lab."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lab.backends import huey
from lab.core.model import Job

HOUR = [datetime(2026, 3, 1, 9, 0, 30) + timedelta(minutes=n) for n in range(60)]  # noqa: DTZ001 (huey passes UTC without a zone)


@pytest.mark.parametrize(
    ("job", "minutes"),
    [
        (Job(1, "f", 0, cron="* * * * *"), [*range(60)]),
        (Job(1, "f", 0, cron="*/20 9 * * *"), [0, 20, 40]),
        (Job(1, "f", 0, cron="5 10 * * *"), []),
        (Job(1, "f", 0, every_s=60.0), [*range(60)]),
        (Job(1, "f", 0, every_s=900.0), [0, 15, 30, 45]),
    ],
)
def test_job_is_due_in_its_minutes(
    job: Job, minutes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer looks once in each minute, in any second of it."""
    monkeypatch.setenv("LAB_NODE", "0")
    is_due = huey._is_due(job)
    assert [now.minute for now in HOUR if is_due(now)] == minutes


def test_one_consumer_enqueues_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of further nodes only execute them: each would enqueue every job."""
    monkeypatch.setenv("LAB_NODE", "1")
    is_due = huey._is_due(Job(1, "f", 0, every_s=60.0))
    assert not [now for now in HOUR if is_due(now)]
