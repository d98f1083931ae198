"""Fails the first time, as a task fails whose database is away for a moment.

That it has run before is written beside the ledger, where every process of a trial can see it.
"""

import os
from pathlib import Path

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (they are the same)

SUMMARY = "Raises the first time it runs and returns its argument after (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0


def run(number: int) -> int:
    """Return the number, from the second time on.

    Raises:
        ConnectionError: It is the first time.
    """
    try:
        Path(os.environ["LAB_LEDGER"]).with_name(f"raised-{number}").touch(exist_ok=False)
    except FileExistsError:
        return number
    raise ConnectionError(f"Task {number} fails the first time, as it should.")


async def run_async(number: int) -> int:
    """Return the number, from the second time on."""
    return run(number)
