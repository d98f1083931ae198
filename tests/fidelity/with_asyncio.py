"""Coroutines in one event loop, asyncio's own or uvloop's, and calls in its threads or AnyIO's."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import uvloop
from anyio import to_thread

from tests.fidelity import stamps

done: list[int] = []


async def all_of(tasks: int, workers: int) -> None:
    """Gather all tasks; a semaphore bounds how many run at once."""
    places = asyncio.Semaphore(workers)

    async def noop(number: int) -> int:
        async with places:
            done.append(time.monotonic_ns())
            return number

    await asyncio.gather(*map(noop, range(tasks)))


def stamped(number: int) -> int:
    """Stamp and return the argument."""
    done.append(time.monotonic_ns())
    return number


async def all_in_threads(tasks: int, workers: int) -> None:
    """Gather all tasks, which the loop's own threads run."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(workers))
    await asyncio.gather(*(asyncio.to_thread(stamped, number) for number in range(tasks)))


async def all_in_anyio(tasks: int, workers: int) -> None:
    """Gather all tasks, which the threads of AnyIO run."""
    to_thread.current_default_thread_limiter().total_tokens = workers
    await asyncio.gather(*(to_thread.run_sync(stamped, number) for number in range(tasks)))


WAYS = {"to_thread": all_in_threads, "anyio": all_in_anyio}


def main() -> None:
    """Run all tasks in the chosen way."""
    given = stamps.options(__doc__, "event-loop", "uvloop", *WAYS)
    run = uvloop.run if given.variant == "uvloop" else asyncio.run
    tasks = WAYS.get(given.variant, all_of)
    run(tasks(given.tasks, given.workers))
    stamps.report(done)


if __name__ == "__main__":
    main()
