"""APScheduler's executors for threads, processes and coroutines, and its store in a database."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from tests.fidelity import stamps

done: list[int] = []


def noop(number: int) -> int:
    """Stamp and return the argument."""
    done.append(time.monotonic_ns())
    return number


def add(scheduler: Any, job: Callable[[int], Any], tasks: int) -> None:
    """Add a job for each task, to be run however late."""
    for number in range(tasks):
        scheduler.add_job(job, args=(number,), misfire_grace_time=None)


def run_here(scheduler: Any, job: Callable[[int], Any], tasks: int) -> list[int]:
    """Add the jobs and wait until the tasks of this process are done."""
    add(scheduler, job, tasks)
    while len(done) < tasks:
        time.sleep(0.01)
    return done


def by_threads(tasks: int, workers: int, store: dict[str, str] | None = None) -> list[int]:
    """Run all tasks in a pool of threads."""
    pool = {"type": "threadpool", "max_workers": workers}
    stores = {"default": store or {"type": "memory"}}
    scheduler = BackgroundScheduler(executors={"default": pool}, jobstores=stores)
    scheduler.start()
    instants = run_here(scheduler, noop, tasks)
    scheduler.shutdown()
    return instants


def by_threads_from_database(tasks: int, workers: int) -> list[int]:
    """Run all tasks in a pool of threads, each of them a row until a thread has it."""
    with tempfile.TemporaryDirectory() as folder:
        return by_threads(
            tasks, workers, {"type": "sqlalchemy", "url": f"sqlite:///{folder}/jobs.sqlite"}
        )


def by_processes(tasks: int, workers: int) -> list[int]:
    """Warm a pool of processes up and run all tasks in it."""
    pool = {"type": "processpool", "max_workers": workers}
    scheduler = BackgroundScheduler(executors={"default": pool})
    scheduler.start()
    with stamps.file():
        for count in (20 * workers, tasks):
            add(scheduler, stamps.noop, count)
            instants = stamps.wait_for(count)
    scheduler.shutdown()
    return instants


async def by_coroutines(tasks: int, workers: int) -> list[int]:
    """Run all tasks in this loop, added from a thread beside it; a semaphore bounds them."""
    places = asyncio.Semaphore(workers)

    async def bounded(number: int) -> int:
        async with places:
            return noop(number)

    scheduler = AsyncIOScheduler()
    scheduler.start()
    instants = await asyncio.to_thread(run_here, scheduler, bounded, tasks)
    scheduler.shutdown()
    return instants


def main() -> None:
    """Run all tasks in the chosen way."""
    ways: dict[str, Callable[[int, int], list[int]]] = {
        "threads+late-runs": by_threads,
        "threads+sqlalchemy+late-runs": by_threads_from_database,
        "processes+late-runs": by_processes,
        "asyncio+late-runs": lambda *given: asyncio.run(by_coroutines(*given)),
    }
    given = stamps.options(__doc__, *ways)
    stamps.report(ways[given.variant](given.tasks, given.workers))


if __name__ == "__main__":
    main()
