"""Runs tasks with huey on Redis, PostgreSQL or SQLite: threads, processes or greenlets."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _huey
from lab.core.backend import DEFAULT, Backend
from lab.core.in_time import in_time
from lab.core.model import BackendContext, Capability, Command, Profile, Service, Task, Variant
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.plain_values import plain_values
from lab.worker import execution

PROMISED = frozenset(
    {
        *(Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.SCHEDULE),
        *(Capability.RETRY, Capability.RETRY_DELAY, Capability.GROUP, Capability.CHAIN),
    }
)
ON_REDIS = ("thread", "process", "greenlet", "process+priorities")
# The command that creates the tables of PostgreSQL, before several consumers try to at once.
CREATE = f"from {_huey.__name__} import huey"


def _variant(name: str) -> Variant:
    worker_type, *extras = name.split("+")
    promised, storage = PROMISED | {Capability.NODES}, "RedisHuey"
    summary = f"`huey_consumer -k {worker_type}` on Redis (huey docs, Consuming Tasks)"
    more: dict[str, Any] = {"services": (Service.REDIS,), "packages": ("redis",)}
    more |= {"ack_means": AckMeans.ACCEPTED, "references": ("raw-redis[smallest]",)}
    if "priorities" in extras:
        promised, storage = promised | {Capability.PRIORITY}, "PriorityRedisHuey"
        summary += ", with a sorted set (Guide, Task priority)"
    if "sqlite" in extras:
        promised, storage = PROMISED | {Capability.PRIORITY}, "SqliteHuey"
        summary = f"`huey_consumer -k {worker_type}` on SQLite (huey docs, Guide, Storage Options)"
        more = {"ack_means": AckMeans.ACCEPTED, "references": ("raw-sql",)}
    if "postgres" in extras:
        promised, storage = promised | {Capability.PRIORITY}, "PostgresHuey"
        summary = f"`huey_consumer -k {worker_type}` on PostgreSQL (huey docs, API, PostgresHuey)"
        more = {"services": (Service.POSTGRES,), "packages": ("psycopg",)}
        more |= {"ack_means": AckMeans.ON_DISK, "references": ("raw-sql[postgres]",)}
    if worker_type == "greenlet":
        more["packages"] += ("gevent",)
    return Variant(
        name,
        promised,
        f"{summary}.",
        # Without store_none, a caller waits for ever for a task that returns None (API, Huey).
        {"worker_type": worker_type, "storage": storage, "store_none": True},
        sends_name=True,
        contract=Contract.AT_MOST_ONCE,
        **more,
    )


class Huey(Backend):
    """Calls a task of huey for each task of the lab; each node runs one consumer.

    A consumer removes a task from the queue before it runs, and "Huey does not guarantee
    at-least-once delivery" (Consuming Tasks, Consumer shutdown): there is no profile `safe`. Its
    scheduler looks for periodic tasks once a minute.
    """

    family = "huey"
    summary = "huey on Redis, PostgreSQL or SQLite"
    packages = ("huey",)
    extra = "huey"
    by_default = False
    finest_period_s = float(_huey.MINUTE_S)
    schedules_in_workers = True
    variants = tuple(map(_variant, (*ON_REDIS, "process+sqlite", "process+postgres")))
    profiles = (
        DEFAULT,
        Profile(
            "tuned",
            {"notify_result": True},
            "notify_result: the caller waits for a result in a blocking call, instead of polling "
            "with delays of 0.1 s to 1 s (huey docs, API, RedisHuey).",
            ON_REDIS,
        ),
    )

    def start(self) -> None:
        """Create the client; it connects with the first task."""
        self._huey = _huey.make_huey(self.setup)
        self._execute = self._huey.task()(execution.execute)
        self._chained = self._huey.task()(_huey.chained)

    def submit(self, task: Task) -> Any:
        """Call the task, which enqueues it, and return its `Result`."""
        return self._execute(*task.arguments)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Enqueue it with three retries (Guide, Retrying tasks that fail)."""
        call = self._execute.s(*task.arguments, retries=3, retry_delay=delay_s)
        return self._huey.enqueue(call)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Enqueue it with a priority; the highest is first (Guide, Task priority)."""
        return self._huey.enqueue(self._execute.s(*task.arguments, priority=int(urgent)))

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Enqueue a group (Guide, Groups and Chords)."""
        from huey import group

        return self._huey.enqueue(group([self._execute.s(*task.arguments) for task in tasks]))

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Enqueue a pipeline (Guide, Task pipelines), whose handle is a `ResultGroup` too."""
        first, *rest = tasks
        chain = self._execute.s(*first.arguments)
        for task in rest:
            chain.then(self._chained, *task.arguments)
        return self._huey.enqueue(chain)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the `Result` (Guide, Tips and tricks)."""
        from huey.exceptions import ResultTimeout

        with in_time(timeout_s, ResultTimeout):
            return handle.get(blocking=True, timeout=timeout_s)

    def state_of(self, handle: Any) -> TaskState:
        """Return whether it has a result or waits; huey has no record of a task that runs."""
        from huey.exceptions import TaskException

        try:
            if handle.get(preserve=True) is not None:
                return TaskState.FINISHED
        except TaskException:
            return TaskState.FAILED
        waiting = [*self._huey.pending(), *self._huey.scheduled()]
        is_waiting = handle.id in {task.id for task in waiting}
        return TaskState.QUEUED if is_waiting else TaskState.MISSING

    def stop(self) -> None:
        """Close the client's connections."""
        storage = self._huey.storage
        on_redis = Service.REDIS in self.setup.endpoints
        (storage.pool.disconnect if on_redis else storage.close)()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of the client, its storage, and the consumer with its defaults.

        Without the address of PostgreSQL, which contains the password.
        """
        from huey.consumer_options import config_defaults

        client = plain_values({**vars(self._huey), **vars(self._huey.storage)}, ("dsn",))
        fixed = {"workers": self.setup.topology.workers_per_node}
        return {**dict(config_defaults), **client, **fixed, **self.setup.settings}

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the command that creates the tables of PostgreSQL."""
        on_postgres = setup.settings["storage"] == "PostgresHuey"
        return [Command((sys.executable, "-c", CREATE))] if on_postgres else ()

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the one consumer of a node."""
        slots, worker_type = setup.topology.workers_per_node, setup.settings["worker_type"]
        # gevent patches the standard library before the consumer imports it (gevent docs).
        patched = ["gevent.monkey", "--module"] if worker_type == "greenlet" else []
        argv = [sys.executable, "-m", *patched, "huey.bin.huey_consumer", f"{_huey.__name__}.huey"]
        argv += ["--worker-type", worker_type, "--workers", str(slots)]
        return [Command(tuple(argv), slots)]
