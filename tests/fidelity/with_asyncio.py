"""Coroutines in one event loop."""

from __future__ import annotations

import asyncio
import time

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


def main() -> None:
    """Run all tasks."""
    given = stamps.options(__doc__, "event-loop")
    asyncio.run(all_of(given.tasks, given.workers))
    stamps.report(done)


if __name__ == "__main__":
    main()
