"""Compares the wall clock with CLOCK_MONOTONIC, and detects that it was set (METHOD M26).

``python -m lab.host.wall_clock`` prints how far the clocks of a process are from those of the
kernel, in ns: the wall clock and CLOCK_MONOTONIC. Both are 0 unless a fault steps a clock.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import sys
import time
from collections.abc import Sequence

from lab.worker.clock_file import FAKED

# The kernel slews both clocks equally: their difference changes only when the wall clock is set.
LARGEST_STEP_NS = 1_000_000

ClockReading = Sequence[int]
"""CLOCK_MONOTONIC, the wall clock, and CLOCK_MONOTONIC again, in nanoseconds."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@functools.cache
def _c_library() -> ctypes.CDLL:
    # By its name: its own function, and not that of a library that was loaded before it.
    return ctypes.CDLL("libc.so.6")


def kernel_ns(clock: int) -> int:
    """Return a clock of the kernel in ns, in a process whose clocks are faked, too (Linux)."""
    now = _Timespec()
    _c_library().clock_gettime(clock, ctypes.byref(now))
    return int(now.seconds) * 1_000_000_000 + int(now.nanoseconds)


def _wall_ns() -> int:
    # The driver whose tasks run in it has a faked clock, but its own readings must be true.
    return kernel_ns(time.CLOCK_REALTIME) if FAKED in os.environ else time.time_ns()


def read() -> ClockReading:
    """Read the wall clock between two readings of CLOCK_MONOTONIC."""
    return time.monotonic_ns(), _wall_ns(), time.monotonic_ns()


def offset_ns(reading: ClockReading) -> int:
    """Return the wall clock minus CLOCK_MONOTONIC in ns; the error is at most `bound_ns`."""
    before, wall, after = reading
    return wall - (before + after) // 2


def bound_ns(reading: ClockReading) -> int:
    """Return the largest error of the offset in ns: half of the time that the reading took."""
    # Rounded up: a bound that is too small would report a step that did not happen.
    return (reading[2] - reading[0] + 1) // 2


def step_ns(readings: Sequence[ClockReading]) -> int:
    """Return the smallest step of the wall clock in ns that explains the readings; 0 for none."""
    lowest = min((offset_ns(r) + bound_ns(r) for r in readings), default=0)
    highest = max((offset_ns(r) - bound_ns(r) for r in readings), default=0)
    return max(0, highest - lowest)


if __name__ == "__main__":
    # The kernel's clock is read last, so the largest difference has the smallest error.
    wall_ns = [time.time_ns() - kernel_ns(time.CLOCK_REALTIME) for _ in range(5)]
    monotonic_ns = [time.monotonic_ns() - kernel_ns(time.CLOCK_MONOTONIC) for _ in range(5)]
    json.dump([max(wall_ns), max(monotonic_ns)], sys.stdout)
