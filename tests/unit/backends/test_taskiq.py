"""Tests what the adapter of taskiq creates, without a server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from lab.backends import _taskiq, taskiq
from lab.core.model import BackendContext, Job, Service, Topology
from lab.planning import registry
from lab.worker import execution

ENDPOINTS: dict[str, str] = {
    Service.REDIS: "redis://:secret@127.0.0.1:6379/0",
    Service.RABBITMQ: "amqp://lab:secret@127.0.0.1:5672//",
}
LABELS = [
    f"taskiq[{variant.name}]@{profile.name}"
    for variant in taskiq.Taskiq.variants
    for profile in registry.profiles_of(taskiq.Taskiq, variant.name)
]


def setup_of(label: str) -> BackendContext:
    """Return the setup of a label with one node of two workers."""
    return registry.setup(registry.select(label), Topology(1, 2, 2), ENDPOINTS)


@pytest.mark.parametrize("label", LABELS)
def test_settings_in_force_have_defaults_and_no_address(label: str) -> None:
    """Those of the profile are in force, and the worker command has its own defaults."""
    setup = setup_of(label)
    backend = taskiq.Taskiq(setup)
    backend._broker = _taskiq.make_broker(setup)
    settings = backend.effective_settings()
    assert dict(setup.settings).items() <= dict(settings).items()
    assert settings["ack_type"] == setup.settings.get("ack_type", "when_saved")
    assert (settings["max_prefetch"], settings["workers"] * settings["max_async_tasks"]) == (0, 2)
    assert "secret" not in str(settings)
    assert "consumer_name" not in settings
    json.dumps(settings)


def test_a_stream_is_read_with_the_settings_of_its_profile() -> None:
    """`safe` claims earlier, and takes one message at a time."""
    settings = {
        label: vars(_taskiq.make_broker(setup_of(f"taskiq[processes+stream]@{label}")))
        for label in ("default", "safe")
    }
    names = ("idle_timeout", "count", "unacknowledged_lock_timeout")
    assert [settings["default"][name] for name in names] == [600_000, 100, None]
    assert [settings["safe"][name] for name in names] == [60_000, 1, 60]


def test_rabbitmq_is_addressed_by_its_default_virtual_host() -> None:
    """Kombu's URL of it has two slashes, which is an unnamed one elsewhere."""
    broker = _taskiq.make_broker(setup_of("taskiq[processes+rabbitmq]"))
    assert broker.url == "amqp://lab:secret@127.0.0.1:5672/"


def test_scheduler_sends_each_job_to_a_task_of_the_worker() -> None:
    """Its message has no label of the schedule."""
    jobs = (Job(1, "m:run", 7, every_s=2.0), Job(2, "m:run_async", 8, cron="*/5 * * * *"))
    setup = replace(setup_of("taskiq"), jobs=jobs)
    scheduler, worker = _taskiq.make_scheduler(setup), _taskiq.make_worker(setup)
    (source,) = scheduler.sources
    asyncio.run(source.startup())
    planned = asyncio.run(source.get_schedules())
    assert [(p.args, p.interval, p.cron, p.labels) for p in planned] == [
        ([1, "m:run", 7], 2, None, {}),
        ([2, "m:run_async", 8], None, "*/5 * * * *", {}),
    ]
    registered = [worker.find_task(p.task_name).original_func for p in planned]
    assert registered == [_taskiq.execute, _taskiq.execute_async]
    assert execution.execute.__name__ == "execute"
