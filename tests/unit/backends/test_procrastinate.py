"""Tests what the adapter of procrastinate creates, without a server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lab.backends import _procrastinate, procrastinate
from lab.core.errors import UsageError
from lab.core.model import BackendContext, Job, Service, Topology
from lab.planning import registry

ENDPOINTS: dict[str, str] = {Service.POSTGRES: "postgresql://lab:secret@127.0.0.1:5432/lab"}


def setup_of(label: str) -> BackendContext:
    """Return the setup of a label with one node of two workers."""
    return registry.setup(registry.select(label), Topology(1, 2, 2), ENDPOINTS)


@pytest.mark.parametrize(
    ("variant", "workers", "slots"), [("processes", 2, 1), ("event-loop", 1, 2)]
)
def test_settings_in_force_are_those_of_the_worker_command(
    variant: str, workers: int, slots: int
) -> None:
    """They have the defaults of a worker and no address, and so has the command."""
    setup = setup_of(f"procrastinate[{variant}]")
    settings = procrastinate.Procrastinate(setup).effective_settings()
    commands = procrastinate.Procrastinate.node_commands(setup)
    assert [command.slots for command in commands] == [slots] * workers
    assert settings["concurrency"] == slots
    assert (settings["fetch_job_polling_interval"], settings["listen_notify"]) == (5.0, True)
    assert (settings["update_heartbeat_interval"], settings["stalled_worker_timeout"]) == (10, 30)
    assert "secret" not in f"{settings}{commands}"
    json.dumps(settings)


def test_only_safe_retries_stalled_jobs() -> None:
    """It is a periodic task, of which one at a time may wait."""
    planned = {
        profile: _procrastinate.make_app(
            setup_of(f"procrastinate@{profile}")
        ).periodic_registry.periodic_tasks
        for profile in ("default", "safe")
    }
    assert planned["default"] == {}
    ((task_name, _), periodic) = next(iter(planned["safe"].items()))
    assert (task_name, periodic.cron) == ("retry_stalled_jobs", "* * * * *")
    assert (periodic.task.queueing_lock, periodic.task.pass_context) == ("retry_stalled_jobs", True)


def test_stalled_jobs_are_retried() -> None:
    """Each job that the manager reports is retried once."""
    retried = []

    class Manager:
        async def get_stalled_jobs(self) -> list[str]:
            return ["one", "two"]

        async def retry_job(self, job: str) -> None:
            retried.append(job)

    class Context:
        app = type("App", (), {"job_manager": Manager()})

    asyncio.run(_procrastinate.retry_stalled_jobs(Context, timestamp=1))
    assert retried == ["one", "two"]


def test_each_job_is_a_periodic_task_of_the_workers() -> None:
    """It has the job's line and arguments, and runs coroutine functions as such."""
    jobs = (Job(1, "m:run", 7, every_s=2.0), Job(2, "m:run_async", 8, cron="*/5 * * * *"))
    app = _procrastinate.make_app(replace(setup_of("procrastinate"), jobs=jobs))
    planned = app.periodic_registry.periodic_tasks.values()
    assert [(p.task.name, p.cron, p.configure_kwargs["task_kwargs"]) for p in planned] == [
        ("execute", "* * * * * */2", {"task_id": 1, "function": "m:run", "argument": 7}),
        ("execute_async", "*/5 * * * *", {"task_id": 2, "function": "m:run_async", "argument": 8}),
    ]


@pytest.mark.parametrize(
    ("every_s", "line"),
    [
        (1.0, "* * * * * */1"),
        (30.0, "* * * * * */30"),
        (60.0, "*/1 * * * *"),
        (900.0, "*/15 * * * *"),
    ],
)
def test_interval_becomes_a_cron_line(every_s: float, line: str) -> None:
    """The sixth column has seconds."""
    assert _procrastinate.cron_line(Job(1, "m:run", 7, every_s=every_s)) == line


@pytest.mark.parametrize("every_s", [1.5, 7.0, 90.0, 3600.0])
def test_interval_that_is_no_cron_line_is_refused(every_s: float) -> None:
    """The sentence says which intervals are possible."""
    with pytest.raises(UsageError, match="below an hour that divides"):
        _procrastinate.cron_line(Job(1, "m:run", 7, every_s=every_s))


def test_retry_waits_for_the_delay_of_the_job_three_times() -> None:
    """A task without a retry strategy is not retried."""
    from procrastinate.jobs import Job as Row

    app = _procrastinate.make_app(setup_of("procrastinate"))
    strategy, none = (app.tasks[name].retry_strategy for name in ("retrying", "execute"))
    assert none is None
    decisions = [
        strategy.get_retry_decision(
            exception=ValueError(),
            job=Row(
                queue="default",
                lock=None,
                queueing_lock=None,
                task_name="retrying",
                task_kwargs={"delay_s": 3600.0},
                attempts=attempts,
            ),
        )
        for attempts in (0, 2, 3)
    ]
    assert [decision is None for decision in decisions] == [False, False, True]
    now = datetime.now(UTC)
    waits = [(decision.retry_at - now).total_seconds() for decision in decisions[:2]]
    assert [3000 < wait <= 3600 for wait in waits] == [True, True]
