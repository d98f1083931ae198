"""Tests the minutes in which huey enqueues a job of the lab, and its tables in PostgreSQL."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from lab.backends import _huey, huey
from lab.core.model import Job, Service, Topology
from lab.planning import registry

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
    is_due = _huey.is_due(job)
    assert [now.minute for now in HOUR if is_due(now)] == minutes


def test_one_consumer_enqueues_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of further nodes only execute them: each would enqueue every job."""
    monkeypatch.setenv("LAB_NODE", "1")
    is_due = _huey.is_due(Job(1, "f", 0, every_s=60.0))
    assert not [now for now in HOUR if is_due(now)]


def test_the_row_of_a_trial_on_postgresql_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address contains the password of the trial."""
    monkeypatch.setattr("huey.storage.PostgresStorage.initialize_schema", lambda _: None)
    address: dict[str, str] = {Service.POSTGRES: "postgresql://lab:secret@127.0.0.1:5432/lab"}
    chosen = registry.select("huey[process+postgres]")
    backend = huey.Huey(registry.setup(chosen, Topology(1, 1, 1), address))
    backend.start()
    settings = backend.effective_settings()
    assert (settings["read_timeout"], settings["table_kv"]) == (1, "huey_kv")
    assert "secret" not in json.dumps(settings)
    backend.stop()


def test_only_the_tables_of_postgresql_are_created_before_the_consumers_start() -> None:
    """Several consumers would try to create them at once."""
    commands = {
        variant: huey.Huey.preparation(
            registry.setup(registry.select(f"huey[{variant}]"), Topology(1, 1, 1), {})
        )
        for variant in ("process", "process+sqlite", "process+postgres")
    }
    assert {variant for variant, some in commands.items() if some} == {"process+postgres"}
