"""Runs tasks with procrastinate on PostgreSQL: calls and coroutines, in its workers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from lab.backends import _procrastinate
from lab.backends._procrastinate import RETRY_STALLED
from lab.core.backend import DEFAULT, Backend
from lab.core.faults import FaultKind
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Profile,
    Serializer,
    Service,
    Task,
    Variant,
)
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.plain_values import plain_values
from lab.worker import execution

PROMISED = frozenset(
    {
        *(Capability.SUBMIT, Capability.PARALLEL, Capability.NODES, Capability.AWAITS),
        *(Capability.RETRY, Capability.RETRY_DELAY, Capability.PRIORITY, Capability.SCHEDULE),
    }
)
CLI = (sys.executable, "-m", "procrastinate", f"--app={_procrastinate.__name__}.app")
# The default of `seconds_since_heartbeat` of `get_stalled_jobs`.
STALLED_S = 30.0
# Other statuses are those of jobs that ended without success (docs, Reference, Jobs).
STATES: Mapping[str, TaskState] = {
    "todo": TaskState.QUEUED,
    "doing": TaskState.RUNNING,
    "succeeded": TaskState.FINISHED,
}


def _variant(name: str, summary: str) -> Variant:
    return Variant(
        name,
        PROMISED,
        summary,
        serializer=Serializer.PLAIN_JSON,
        sends_name=True,
        ack_means=AckMeans.ON_DISK,
        contract=Contract.AT_MOST_ONCE,
    )


class Procrastinate(Backend):
    """Defers each task as a job, a row in PostgreSQL; workers hear of new rows by `NOTIFY`.

    A worker awaits coroutine functions, and runs functions in threads. It stores no results. The
    job of a dead worker remains `doing` for ever, unless a periodic task retries stalled jobs.
    """

    family = "procrastinate"
    references = ("raw-sql[postgres]", "deadline-loop")
    summary = "procrastinate on PostgreSQL"
    packages = ("procrastinate", "psycopg")
    extra = "procrastinate"
    services = (Service.POSTGRES,)
    by_default = False
    schedules_in_workers = True
    variants = (
        _variant("processes", "One `procrastinate worker` for each slot (docs, Launch a worker)."),
        _variant(
            "event-loop",
            "`procrastinate worker --concurrency N` (docs, Launch a worker; help of the command).",
        ),
    )
    profiles = (
        DEFAULT,
        Profile(
            "safe",
            {RETRY_STALLED: "* * * * *"},
            f"{RETRY_STALLED}: the periodic task of the documentation, which retries the jobs of "
            "workers whose last heartbeat is older than 30 s, every minute instead of every ten "
            "(docs, Retry stalled jobs).",
            contract=Contract.AT_LEAST_ONCE,
            safe_against=(
                *(FaultKind.WORKER_KILL, FaultKind.IDLE_WORKER_KILL),
                *(FaultKind.WORKER_TERM, FaultKind.WORKER_PAUSE, FaultKind.WORKER_OOM),
            ),
        ),
    )

    def start(self) -> None:
        """Open the app, which opens its pool of connections."""
        self._app = _procrastinate.make_app(self.setup).open()

    def submit(self, task: Task) -> int:
        """Defer a job and return its id."""
        return self._defer(execution.entry(task.function).__name__, task)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> int:
        """Defer a job of a task with a retry strategy (docs, Define a retry strategy)."""
        return self._defer(_procrastinate.RETRYING, task, delay_s=delay_s)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> int:
        """Defer it with a priority, of which the highest is first (docs, Priorities)."""
        name = execution.entry(task.function).__name__
        return self._defer(name, task, options={"priority": int(urgent)})

    def _defer(
        self, name: str, task: Task, options: Mapping[str, Any] | None = None, **more: Any
    ) -> int:
        arguments = _procrastinate.arguments(task)
        job_id: int = self._app.configure_task(name, **options or {}).defer(**arguments, **more)
        return job_id

    def state_of(self, handle: int) -> TaskState:
        """Return the status of the job (docs, Reference, JobManager.get_job_status)."""
        status = self._app.job_manager.get_job_status(handle)
        return STATES.get(status.value, TaskState.FAILED)

    def stop(self) -> None:
        """Close the pool of connections."""
        self._app.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the options of a worker, with their defaults."""
        from procrastinate.worker import Worker

        options = {name: each.default for name, each in signature(Worker).parameters.items()}
        options["concurrency"] = _concurrency(self.setup)
        return {**plain_values(options), **self.setup.settings}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the age of a heartbeat at which a job is stalled, and a minute of `safe`."""
        return STALLED_S + 60.0 if RETRY_STALLED in settings else None

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the command that creates the tables (docs, Quickstart)."""
        return [Command((*CLI, "schema", "--apply"))]

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot, or one for all of a node."""
        slots = _concurrency(setup)
        worker = Command((*CLI, "worker", "--concurrency", str(slots)), slots)
        return [worker] * (setup.topology.workers_per_node // slots)


def _concurrency(setup: BackendContext) -> int:
    return setup.topology.workers_per_node if setup.variant == "event-loop" else 1
