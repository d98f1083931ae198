"""`concurrent.futures.ThreadPoolExecutor`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.fidelity import stamps

done: list[int] = []


def noop(number: int) -> int:
    """Stamp and return the argument."""
    done.append(time.monotonic_ns())
    return number


def main() -> None:
    """Submit all tasks and wait for them."""
    given = stamps.options(__doc__, "executor")
    with ThreadPoolExecutor(max_workers=given.workers) as pool:
        for number in range(given.tasks):
            pool.submit(noop, number)
    stamps.report(done)


if __name__ == "__main__":
    main()
