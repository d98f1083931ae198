"""`concurrent.futures.ProcessPoolExecutor`, by start method."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from tests.fidelity import stamps


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Warm the pool up, submit all tasks and wait for them."""
    given = stamps.options(__doc__, *multiprocessing.get_all_start_methods())
    context = multiprocessing.get_context(given.variant)
    with stamps.file(), ProcessPoolExecutor(given.workers, context) as pool:
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                pool.submit(noop, number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
