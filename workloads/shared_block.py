"""Sets a byte in a block of shared memory, with the standard library's `shared_memory`."""

import os
from collections.abc import Mapping
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import cast

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (reused unchanged)

SUMMARY = "Sets its byte in a block of shared memory (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0

PLACES = 65_536


def run(number: int) -> int:
    """Set the byte at the number's index, and return the number."""
    block = _block()
    cast("memoryview[int]", block.buf)[number % PLACES] = 1
    block.close()
    return number


async def run_async(number: int) -> int:
    """Set the byte at the number's index, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:  # noqa: ARG001
    """Return the number of set bytes in the driver's view, and remove the block."""
    block = _block()
    count = bytes(cast("memoryview[int]", block.buf)).count(1)
    block.close()
    resource_tracker.register(f"/{block.name}", "shared_memory")  # `unlink` unregisters it
    block.unlink()
    return count


def _block() -> SharedMemory:
    name = f"lab-{os.environ['LAB_TRIAL']}"
    try:
        block = SharedMemory(name, create=True, size=PLACES)
    except FileExistsError:
        block = SharedMemory(name)
    # Otherwise the first process that ends would remove the block, which others still use.
    resource_tracker.unregister(f"/{name}", "shared_memory")
    return block
