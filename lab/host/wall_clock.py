"""The wall clock beside CLOCK_MONOTONIC, and whether it was set meanwhile (METHOD M26)."""

from __future__ import annotations

import time
from collections.abc import Sequence

# The kernel slews both clocks alike, so their difference changes only when the wall clock is set.
LARGEST_STEP_NS = 1_000_000

Reading = Sequence[int]
"""CLOCK_MONOTONIC, the wall clock, and CLOCK_MONOTONIC again, in nanoseconds."""


def read() -> Reading:
    """Read the wall clock between two readings of CLOCK_MONOTONIC."""
    return time.monotonic_ns(), time.time_ns(), time.monotonic_ns()


def offset_ns(reading: Reading) -> int:
    """Return the wall clock minus CLOCK_MONOTONIC, right to `bound_ns`."""
    before, wall, after = reading
    return wall - (before + after) // 2


def bound_ns(reading: Reading) -> int:
    """Return by how much the offset may be wrong: half the gap of the reading."""
    return (reading[2] - reading[0] + 1) // 2


def step_ns(readings: Sequence[Reading]) -> int:
    """Return by how much the wall clock was set between readings at least, 0 if it was not."""
    lowest = min((offset_ns(r) + bound_ns(r) for r in readings), default=0)
    highest = max((offset_ns(r) - bound_ns(r) for r in readings), default=0)
    return max(0, highest - lowest)
