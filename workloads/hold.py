"""Holding memory, as a task that loads a table or a model does; it is kept until the next task."""

import threading

SUMMARY = "Fills so much memory, and keeps it until its worker's next task."
UNIT = "KiB"
DEFAULT_SIZE = 1_024

# Of each worker, also where several are threads of one process.
_held = threading.local()


def calibrate(size: int) -> int:
    """Return the size as it is."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001 (every workload has the same functions)
    """Return 0: how long filling memory takes is the machine's."""
    return 0


def argument(size: int, seed: int) -> list[int]:
    """Return the size in KiB and a byte that differs from task to task."""
    return [size, 1 + seed % 255]


def run(argument: list[int]) -> int:
    """Let go of what was held, fill the memory, every page of it, and name size times byte."""
    kib, byte = argument
    _held.block = None  # else there would be two of them for a moment
    _held.block = bytearray([byte]) * (kib * 1_024)
    last: int = _held.block[-1]
    return last * kib


async def run_async(argument: list[int]) -> int:
    """Do the same in the event loop, which then waits."""
    return run(argument)


def answer(argument: list[int]) -> int:
    """Return size times byte."""
    return argument[0] * argument[1]
