"""Runs tasks with procrastinate on PostgreSQL: calls and coroutines, in its workers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any

from lab.core.backend import DEFAULT, Backend, setup_from_environment
from lab.core.errors import UsageError
from lab.core.faults import FaultKind
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Job,
    Profile,
    Serializer,
    Service,
    Task,
    Variant,
)
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.worker import execution

PROMISED = frozenset(
    {
        *(Capability.SUBMIT, Capability.PARALLEL, Capability.NODES, Capability.AWAITS),
        *(Capability.RETRY, Capability.RETRY_DELAY, Capability.PRIORITY, Capability.SCHEDULE),
    }
)
CLI = (sys.executable, "-m", "procrastinate", f"--app={__name__}.app")
# A cron line, by which a periodic task retries the stalled jobs.
RETRY_STALLED = "retry_stalled_jobs"
# The default of `seconds_since_heartbeat` of `get_stalled_jobs`.
STALLED_S = 30.0
RETRYING, MOST_RETRIES = "retrying", 3
# The intervals, in seconds or minutes, of which a cron line has no fraction.
DIVISORS = frozenset(n for n in range(1, 60) if 60 % n == 0)
# Other statuses are those of jobs that ended without success (docs, Reference, Jobs).
STATES: Mapping[str, TaskState] = {
    "todo": TaskState.QUEUED,
    "doing": TaskState.RUNNING,
    "succeeded": TaskState.FINISHED,
}


# Procrastinate passes the instant of a periodic run, too, and a retry strategy reads a delay.
def _execute(task_id: int, function: str, argument: Any, **_more: float) -> Any:
    return execution.execute(task_id, function, argument)


async def _execute_async(task_id: int, function: str, argument: Any, **_more: float) -> Any:
    return await execution.execute_async(task_id, function, argument)


async def _retry_stalled_jobs(context: Any, **_timestamp: int) -> None:
    """Retry the jobs of workers without a heartbeat (docs, Retry stalled jobs)."""
    for job in await context.app.job_manager.get_stalled_jobs():
        await context.app.job_manager.retry_job(job)


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
        self._app = _make_app(self.setup).open()

    def submit(self, task: Task) -> int:
        """Defer a job and return its id."""
        return self._defer(execution.entry(task.function).__name__, task)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> int:
        """Defer a job of a task with a retry strategy (docs, Define a retry strategy)."""
        return self._defer(RETRYING, task, delay_s=delay_s)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> int:
        """Defer it with a priority, of which the highest is first (docs, Priorities)."""
        name = execution.entry(task.function).__name__
        return self._defer(name, task, options={"priority": int(urgent)})

    def _defer(
        self, name: str, task: Task, options: Mapping[str, Any] | None = None, **more: Any
    ) -> int:
        arguments = {"task_id": task.id, "function": task.function, "argument": task.argument}
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
        plain = {k: v for k, v in options.items() if isinstance(v, bool | int | float | str | None)}
        return {**plain, "concurrency": _concurrency(self.setup), **self.setup.settings}

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


def _cron(job: Job) -> str:
    """Return the cron line of a job; its sixth column has seconds (docs, Launch a task on a cron).

    Raises:
        UsageError: The interval is an hour or longer, or divides neither a minute nor an hour.
    """
    if job.cron:
        return job.cron
    minutes, seconds = divmod(job.every_s, 60)
    if not minutes and seconds in DIVISORS:
        return f"* * * * * */{seconds:g}"
    if not seconds and minutes in DIVISORS:
        return f"*/{minutes:g} * * * *"
    raise UsageError(
        f"procrastinate schedules by cron lines, and every {job.every_s:g} s is none: choose an "
        "interval below an hour that divides a minute or an hour."
    )


def _make_app(setup: BackendContext) -> Any:
    from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision

    class AfterDelay(BaseRetryStrategy):  # type: ignore[misc] # its types are skipped
        """Retries a job after the delay in its arguments."""

        def get_retry_decision(self, *, exception: BaseException, job: Any) -> Any:
            if job.attempts >= MOST_RETRIES:
                return None
            return RetryDecision(retry_in={"seconds": job.task_kwargs["delay_s"]})

    app = App(connector=PsycopgConnector(conninfo=setup.endpoints[Service.POSTGRES]))
    app.task(name=execution.execute.__name__)(_execute)
    app.task(name=execution.execute_async.__name__)(_execute_async)
    app.task(name=RETRYING, retry=AfterDelay())(_execute)
    if line := setup.settings.get(RETRY_STALLED):
        options = {"queueing_lock": RETRY_STALLED, "pass_context": True}
        app.periodic(cron=line)(app.task(name=RETRY_STALLED, **options)(_retry_stalled_jobs))
    for job in setup.jobs:
        arguments = {"task_id": job.id, "function": job.function, "argument": job.argument}
        task = app.tasks[execution.entry(job.function).__name__]
        app.periodic(cron=_cron(job), periodic_id=str(job.id), task_kwargs=arguments)(task)
    return app


@cache
def _worker_app() -> Any:
    return _make_app(setup_from_environment())


def __getattr__(name: str) -> Any:  # PEP 562: listing backends must not need an address
    if name == "app":
        return _worker_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
