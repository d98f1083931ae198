"""Plain calls."""

from __future__ import annotations

import time

from tests.fidelity import stamps

done: list[int] = []


def noop(number: int) -> int:
    """Stamp and return the argument."""
    done.append(time.monotonic_ns())
    return number


def main() -> None:
    """Call the function."""
    given = stamps.options(__doc__, "call")
    for number in range(given.tasks):
        noop(number)
    stamps.report(done)


if __name__ == "__main__":
    main()
