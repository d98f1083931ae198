"""Runs tasks as jobs of APScheduler in the driver: in threads, processes or coroutines."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from lab.backends._loop_thread import LoopThread
from lab.core.backend import Backend
from lab.core.model import Capability, Job, Serializer, Task, Variant
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.worker import execution

CLOCK = "deadline-loop"
CAPABILITIES = frozenset({Capability.SUBMIT, Capability.PARALLEL, Capability.RESCHEDULE})
JOB_SETTINGS = ("misfire_grace_time", "coalesce", "max_instances")


class ApScheduler(Backend):
    """Adds each task as a job without a trigger, which runs immediately and once.

    By default, APScheduler drops a run that no executor can start within 1 s, and reports it only
    as an event (User guide, Missed job executions and coalescing). A background task may wait for
    longer, therefore the variants `late-runs` switch the limit off for tasks; scheduled jobs keep
    the default. A job returns no result to its submitter. The executor for coroutines is unbounded,
    so an `asyncio.Semaphore` limits them to `workers`.

    The documentation has no advice on speed, and no recipe for at-least-once execution: even with a
    persistent store, a job that runs once is removed as soon as an executor has accepted it.
    """

    family = "apscheduler"
    references = ("queue[simple-queue]", CLOCK)
    summary = "APScheduler, jobs in memory or in a database"
    packages = ("apscheduler",)
    extra = "apscheduler"
    variants = (
        Variant(
            "threads+late-runs",
            CAPABILITIES,
            "BackgroundScheduler, ThreadPoolExecutor (APScheduler docs, User guide).",
            {"executor": "threadpool", "jobstore": "memory", "misfire_grace_time": None},
            serializer=Serializer.MEMORY,
            contract=Contract.SCHEDULER,
        ),
        Variant(
            "threads+sqlalchemy+late-runs",
            CAPABILITIES,
            "The same with a SQLAlchemyJobStore: a SQLite file, one transaction to add a job and "
            "one to fetch it (APScheduler docs, User guide, Choosing the right job store).",
            {"executor": "threadpool", "jobstore": "sqlalchemy", "misfire_grace_time": None},
            packages=("sqlalchemy",),
            references=("raw-sql", CLOCK),
            # By default SQLite synchronizes each transaction (SQLite docs, PRAGMA synchronous).
            ack_means=AckMeans.ON_DISK,
            contract=Contract.SCHEDULER,
        ),
        Variant(
            "processes+late-runs",
            CAPABILITIES,
            "BackgroundScheduler, ProcessPoolExecutor (APScheduler docs, User guide).",
            {"executor": "processpool", "jobstore": "memory", "misfire_grace_time": None},
            references=("pipe", CLOCK),
            contract=Contract.SCHEDULER,
        ),
        Variant(
            "asyncio+late-runs",
            CAPABILITIES | {Capability.COROUTINES},
            "AsyncIOScheduler, AsyncIOExecutor (APScheduler docs, schedulers.asyncio).",
            {"executor": "asyncio", "jobstore": "memory", "misfire_grace_time": None},
            serializer=Serializer.MEMORY,
            references=("asyncio-queue", CLOCK),
            contract=Contract.SCHEDULER,
        ),
    )

    def start(self) -> None:
        """Start the scheduler; the one for coroutines has an event loop in a separate thread."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.schedulers.background import BackgroundScheduler

        executor = {"type": self.setup.settings["executor"]}
        store: dict[str, Any] = {"type": self.setup.settings["jobstore"]}
        self._engine = _database() if store["type"] == "sqlalchemy" else None
        if self._engine:
            store["engine"] = self._engine
        self._is_asyncio = executor["type"] == "asyncio"
        if not self._is_asyncio:
            pools = {"default": {**executor, "max_workers": self.workers}}
            self._scheduler = BackgroundScheduler(jobstores={"default": store}, executors=pools)
            self._scheduler.start()
            return
        self._scheduler = AsyncIOScheduler(executors={"default": executor})
        # Nested functions suit only the store in memory; others save a reference by name.
        self._bounded = _bounded(self.workers)
        self._thread = LoopThread()
        self._thread.call(self._set_up())

    def submit(self, task: Task) -> Any:
        """Add the task as a job that runs now and return the job."""
        return self._add(task, misfire_grace_time=self.setup.settings["misfire_grace_time"])

    def state_of(self, handle: Any) -> TaskState:
        """Look the job up; it leaves its store when an executor accepts it (User guide)."""
        waits = self._scheduler.get_job(handle.id) is not None
        return TaskState.QUEUED if waits else TaskState.MISSING

    def schedule(self, job: Job) -> Any:
        """Add the job with an interval or a cron line as its trigger and return it."""
        return self._add(job, trigger=_trigger(job))

    def reschedule(self, handle: Any, job: Job) -> Any:
        """Replace the job's trigger (User guide, Modifying jobs)."""
        return handle.reschedule(_trigger(job))

    def unschedule(self, handle: Any) -> None:
        """Remove the job from its store."""
        handle.remove()

    def stop(self) -> None:
        """Shut down the scheduler, which waits for its pool's tasks; coroutines are cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown()
        if self._engine:
            # Its thread may have reopened the store during the shutdown.
            self._engine.dispose()
        if self._is_asyncio:
            self._thread.stop()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the executor, its limit, and the settings of a task and of a scheduled job.

        Also the start method of the pool's processes.
        """
        of_task = self._settings_of(misfire_grace_time=self.setup.settings["misfire_grace_time"])
        rest = {"max_workers": self.workers, "scheduled": self._settings_of()}
        if self.setup.settings["executor"] == "processpool":
            rest["start_method"] = _start_method()
        return {**self.setup.settings, **of_task, **rest}

    def _settings_of(self, **options: Any) -> dict[str, Any]:
        # Read from a paused job, which never runs.
        job = self._scheduler.add_job(execution.stamp, args=(0,), next_run_time=None, **options)
        settings = {name: getattr(job, name) for name in JOB_SETTINGS}
        job.remove()
        return settings

    def _add(self, task: Task | Job, **options: Any) -> Any:
        run = self._bounded if self._is_asyncio else execute
        return self._scheduler.add_job(run, args=task.arguments, **options)

    async def _set_up(self) -> None:
        # In the loop, because AsyncIOScheduler uses the one that runs when it starts.
        self._scheduler.start()


def _start_method() -> str:
    from apscheduler.executors.pool import ProcessPoolExecutor

    # Some releases choose it, others leave the interpreter's default. No process starts here.
    chosen = ProcessPoolExecutor(1).pool_kwargs.get("mp_context")
    return str((chosen or multiprocessing).get_start_method())


def _database() -> Any:
    from sqlalchemy import create_engine

    # The lab removes the ledger's folder after the trial.
    file = Path(os.environ["LAB_LEDGER"]).parent / "apscheduler.sqlite3"
    return create_engine(f"sqlite:///{file}")


def _trigger(job: Job) -> Any:
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if job.every_s:
        return IntervalTrigger(seconds=job.every_s)
    # The default is the local time zone; the lab's cron lines are in UTC (METHOD M26). Only `*` is
    # portable for weekdays: APScheduler 3 counts them from Monday (API docs, from_crontab).
    return CronTrigger.from_crontab(job.cron, timezone="UTC")


# APScheduler inspects each job's signature, which is fast for a single parameter.
def execute(*task: Any) -> Any:
    """Run one task."""
    return execution.execute(*task)


def _bounded(places: int) -> Callable[..., Awaitable[Any]]:
    semaphore = asyncio.Semaphore(places)

    async def execute_async(*task: Any) -> Any:
        async with semaphore:
            return await execution.execute_async(*task)

    return execute_async
