"""Counts in a variable of the module, which only code in the same process can see."""

import threading
from collections.abc import Mapping

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (reused unchanged)

SUMMARY = "Adds 1 to a variable of its module (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0

_lock = threading.Lock()
_count = 0


def run(number: int) -> int:
    """Increment the count, and return the number."""
    global _count  # noqa: PLW0603 (the workload tests exactly this)
    with _lock:
        _count += 1
    return number


async def run_async(number: int) -> int:
    """Increment the count, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:  # noqa: ARG001
    """Return the count in the driver's process."""
    return _count
