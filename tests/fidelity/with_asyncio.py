"""Coroutines in one event loop, asyncio's own or uvloop's, and calls in its threads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import uvloop

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


async def all_in_threads(tasks: int, workers: int) -> None:
    """Gather all tasks, which the loop's own threads run."""

    def noop(number: int) -> int:
        done.append(time.monotonic_ns())
        return number

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(workers))
    await asyncio.gather(*(asyncio.to_thread(noop, number) for number in range(tasks)))


def main() -> None:
    """Run all tasks in the chosen way."""
    given = stamps.options(__doc__, "event-loop", "uvloop", "to_thread")
    run = uvloop.run if given.variant == "uvloop" else asyncio.run
    tasks = all_in_threads if given.variant == "to_thread" else all_of
    run(tasks(given.tasks, given.workers))
    stamps.report(done)


if __name__ == "__main__":
    main()
