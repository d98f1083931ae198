"""Allocates memory and holds it until the next task, like a task that loads a table or a model."""

import threading

SUMMARY = "Allocates memory of the given size, and holds it until the worker's next task."
UNIT = "KiB"
DEFAULT_SIZE = 1_024

# One per worker, even if several workers are threads of one process.
_held = threading.local()


def calibrate(size: int) -> int:
    """Return the size unchanged."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001 (every workload has the same functions)
    """Return 0, because the duration depends on the machine."""
    return 0


def argument(size: int, seed: int) -> list[int]:
    """Return the size in KiB and a byte that differs from task to task."""
    return [size, 1 + seed % 255]


def run(argument: list[int]) -> int:
    """Release the previous block, write every page of a new one, and return size times byte."""
    kib, byte = argument
    _held.block = None  # released first, so that two blocks never exist at once
    _held.block = bytearray([byte]) * (kib * 1_024)
    last: int = _held.block[-1]
    return last * kib


async def run_async(argument: list[int]) -> int:
    """Do the same in the event loop, which blocks it."""
    return run(argument)


def answer(argument: list[int]) -> int:
    """Return size times byte."""
    return argument[0] * argument[1]
