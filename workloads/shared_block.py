"""Marks its place in a block of shared memory, by the standard library's `shared_memory`."""

import os
from collections.abc import Mapping
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import cast

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (they are the same)

SUMMARY = "Sets its byte in a block of shared memory (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0

PLACES = 65_536


def run(number: int) -> int:
    """Set the byte at the number's place, and return the number."""
    block = _block()
    cast("memoryview[int]", block.buf)[number % PLACES] = 1
    block.close()
    return number


async def run_async(number: int) -> int:
    """Set the byte at the number's place, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:  # noqa: ARG001
    """Return how many places are set, as the submitter finds them; the block ends with that."""
    block = _block()
    count = bytes(cast("memoryview[int]", block.buf)).count(1)
    block.close()
    resource_tracker.register(f"/{block.name}", "shared_memory")  # which `unlink` takes back
    block.unlink()
    return count


def _block() -> SharedMemory:
    name = f"lab-{os.environ['LAB_TRIAL']}"
    try:
        block = SharedMemory(name, create=True, size=PLACES)
    except FileExistsError:
        block = SharedMemory(name)
    # Else the tracker of whichever process ends first would remove it from under the others.
    resource_tracker.unregister(f"/{name}", "shared_memory")
    return block
