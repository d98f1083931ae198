"""Pebble's pool of processes by start method, and its pool of threads."""

from __future__ import annotations

import multiprocessing

from pebble import ProcessPool, ThreadPool

from tests.fidelity import stamps

THREADS = "threads"


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Warm the pool up, schedule all tasks and wait for them."""
    given = stamps.options(__doc__, *multiprocessing.get_all_start_methods(), THREADS)
    pool = (
        ThreadPool(max_workers=given.workers)
        if given.variant == THREADS
        else ProcessPool(given.workers, context=multiprocessing.get_context(given.variant))
    )
    with stamps.file(), pool:
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                pool.schedule(noop, args=(number,))
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
