"""Compares the wall clock with CLOCK_MONOTONIC, and detects that it was set (METHOD M26)."""

from __future__ import annotations

import time
from collections.abc import Sequence

# The kernel slews both clocks equally: their difference changes only when the wall clock is set.
LARGEST_STEP_NS = 1_000_000

ClockReading = Sequence[int]
"""CLOCK_MONOTONIC, the wall clock, and CLOCK_MONOTONIC again, in nanoseconds."""


def read() -> ClockReading:
    """Read the wall clock between two readings of CLOCK_MONOTONIC."""
    return time.monotonic_ns(), time.time_ns(), time.monotonic_ns()


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
