"""Waits without CPU and GIL, like a task that queries a database or a remote service."""

import time

SUMMARY = "Waits for the given time without using a CPU; releases the GIL."
UNIT = "us"
DEFAULT_SIZE = 20_000


def calibrate(size: int) -> int:
    """Return the size unchanged, because a clock needs no calibration."""
    return size


def nominal_ns(size: int) -> int:
    """Return `size` microseconds in nanoseconds."""
    return size * 1_000


def argument(size: int, seed: int) -> list[int]:
    """Return the wait in microseconds and a number that differs from task to task."""
    return [size, seed % 2**31]


def run(argument: list[int]) -> int:
    """Sleep, and return the number."""
    microseconds, number = argument
    time.sleep(microseconds / 1e6)
    return number


async def run_async(argument: list[int]) -> int:
    """Sleep in the event loop, and return the number."""
    import asyncio  # imported here, so that a worker of threads does not import it

    microseconds, number = argument
    await asyncio.sleep(microseconds / 1e6)
    return number


def answer(argument: list[int]) -> int:
    """Return the number."""
    return argument[1]
