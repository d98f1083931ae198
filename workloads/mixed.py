"""Waits and computes, like a task that queries a service and processes its response."""

from workloads import cpu, io
from workloads.cpu import answer, argument, calibrate  # noqa: F401 (reused unchanged)

SUMMARY = "Waits 10 ms, then computes in pure Python for the given time."
UNIT = "us"
DEFAULT_SIZE = 2_000
WAIT_US = 10_000


def nominal_ns(size: int) -> int:
    """Return the wait and `size` microseconds, in nanoseconds."""
    return (WAIT_US + size) * 1_000


def run(work: list[int]) -> int:
    """Wait without a CPU, then compute."""
    io.run([WAIT_US, 0])
    return cpu.run(work)


async def run_async(work: list[int]) -> int:
    """Wait in the event loop, then compute, which blocks it."""
    await io.run_async([WAIT_US, 0])
    return cpu.run(work)
