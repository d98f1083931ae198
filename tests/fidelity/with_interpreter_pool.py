"""`concurrent.futures.InterpreterPoolExecutor`, from Python 3.14."""

from __future__ import annotations

import sys

from tests.fidelity import stamps


def main() -> None:
    """Warm the pool up, submit all tasks and wait for them."""
    given = stamps.options(__doc__, "executor")
    if sys.version_info >= (3, 14):
        from concurrent.futures import InterpreterPoolExecutor

        with stamps.file(), InterpreterPoolExecutor(given.workers) as pool:
            for tasks in (20 * given.workers, given.tasks):
                for number in range(tasks):
                    pool.submit(stamps.noop, number)
                instants = stamps.wait_for(tasks)
        stamps.report(instants)


if __name__ == "__main__":
    main()
