"""Counts in a variable of the module: code in the same process sees the count."""

import threading
from collections.abc import Mapping

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (they are the same)

SUMMARY = "Adds 1 to a variable of its module (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0

_lock = threading.Lock()
_count = 0


def run(number: int) -> int:
    """Count, and return the number."""
    global _count  # noqa: PLW0603 (it is the question)
    with _lock:
        _count += 1
    return number


async def run_async(number: int) -> int:
    """Count, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:  # noqa: ARG001
    """Return how many tasks have counted, as the submitter's process sees it."""
    return _count
