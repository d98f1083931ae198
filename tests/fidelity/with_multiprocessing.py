"""`multiprocessing.Pool` by start method, task by task and by map."""

from __future__ import annotations

import multiprocessing

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
    with stamps.file(), multiprocessing.get_context(method).Pool(given.workers) as pool:
        for tasks in (20 * given.workers, given.tasks):
            if mapped:
                pool.map(noop, range(tasks))
            else:
                for number in range(tasks):
                    pool.apply_async(noop, (number,))
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
