"""Creates the app of procrastinate with its tasks and jobs, for driver and workers."""

from __future__ import annotations

from typing import Any

from lab.core.errors import UsageError
from lab.core.model import BackendContext, Job, Service, Task
from lab.core.on_demand import on_demand
from lab.worker import execution

# A cron line, by which a periodic task retries the stalled jobs.
RETRY_STALLED = "retry_stalled_jobs"
RETRYING, MOST_RETRIES = "retrying", 3
# The intervals, in seconds or minutes, of which a cron line has no fraction.
DIVISORS = frozenset(n for n in range(1, 60) if 60 % n == 0)


def arguments(task: Task | Job) -> dict[str, Any]:
    """Return the arguments of a task of the app, which procrastinate takes by their names."""
    return {"task_id": task.id, "function": task.function, "argument": task.argument}


# Procrastinate passes the instant of a periodic run, too, and a retry strategy reads a delay.
def _execute(task_id: int, function: str, argument: Any, **_more: float) -> Any:
    return execution.execute(task_id, function, argument)


async def _execute_async(task_id: int, function: str, argument: Any, **_more: float) -> Any:
    return await execution.execute_async(task_id, function, argument)


async def retry_stalled_jobs(context: Any, **_timestamp: int) -> None:
    """Retry the jobs of workers without a heartbeat (docs, Retry stalled jobs)."""
    for job in await context.app.job_manager.get_stalled_jobs():
        await context.app.job_manager.retry_job(job)


def cron_line(job: Job) -> str:
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


def make_app(setup: BackendContext) -> Any:
    """Return the app, whose periodic tasks are the jobs and, with `safe`, `retry_stalled_jobs`."""
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
        app.periodic(cron=line)(app.task(name=RETRY_STALLED, **options)(retry_stalled_jobs))
    for job in setup.jobs:
        task = app.tasks[execution.entry(job.function).__name__]
        options = {"periodic_id": str(job.id), "task_kwargs": arguments(job)}
        app.periodic(cron=cron_line(job), **options)(task)
    return app


# `procrastinate --app` reads it from a module.
__getattr__ = on_demand(__name__, app=make_app)
