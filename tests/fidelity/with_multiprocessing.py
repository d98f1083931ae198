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
    mapped = ("map", "map+chunk-1")
    batches = (f"{method}+{way}" for way in mapped for method in methods)
    given = stamps.options(__doc__, *methods, *batches)
    method, _, way = given.variant.partition("+")
    with stamps.file(), multiprocessing.get_context(method).Pool(given.workers) as pool:
        for tasks in (20 * given.workers, given.tasks):
            if way:
                pool.map(noop, range(tasks), {"map": None, "map+chunk-1": 1}[way])
            else:
                for number in range(tasks):
                    pool.apply_async(noop, (number,))
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
