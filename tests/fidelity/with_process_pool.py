"""`concurrent.futures.ProcessPoolExecutor`, task by task by start method, and by map."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from tests.fidelity import stamps


def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Warm the pool up, hand over all tasks and wait for them."""
    methods = multiprocessing.get_all_start_methods()
    given = stamps.options(__doc__, *methods, *(f"{method}+map" for method in methods))
    method, _, mapped = given.variant.partition("+")
    context = multiprocessing.get_context(method)
    with stamps.file(), ProcessPoolExecutor(given.workers, context) as pool:
        for tasks in (20 * given.workers, given.tasks):
            if mapped:
                for _ in pool.map(noop, range(tasks)):
                    pass
            else:
                for number in range(tasks):
                    pool.submit(noop, number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
