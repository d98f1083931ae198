"""Fails on the first run, like a task whose database is unavailable for a moment.

A file in the ledger's folder, which all processes of a trial share, records the first run.
"""

import os
from pathlib import Path

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (reused unchanged)

SUMMARY = "Raises on the first run, and returns its argument on the next ones (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0


def run(number: int) -> int:
    """Return the number, from the second run on.

    Raises:
        ConnectionError: This is the first run.
    """
    try:
        Path(os.environ["LAB_LEDGER"]).with_name(f"raised-{number}").touch(exist_ok=False)
    except FileExistsError:
        return number
    raise ConnectionError(f"Task {number} fails on the first run, as intended.")


async def run_async(number: int) -> int:
    """Return the number, from the second run on."""
    return run(number)
