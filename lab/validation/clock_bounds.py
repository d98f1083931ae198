"""Decides whether the clocks of several machines agree well enough for the waits of a trial.

A duration from the driver's clock to a node's has an error of at most its bound (METHOD M14).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from lab.core.model import Flag
from lab.validation.issue import Issue

# The largest bound, as a share of the median wait.
LARGEST_SHARE = 0.05


class BoundedDuration(NamedTuple):
    """A duration between instants of two clocks, and the bound of its error, both ns."""

    duration_ns: int
    bound_ns: int


def clock_issues(
    waits: Sequence[BoundedDuration], durations: Iterable[BoundedDuration] = ()
) -> list[Issue]:
    """List the problems of the clocks, each with the flag that it gives to the trial.

    Args:
        waits: t3 - t0 of each task of the window that started.
        durations: Further durations between two clocks that cannot be negative, such as t3 - t1.
    """
    issues = []
    # Below its bound, a negative duration is one of a few nanoseconds and the error of the clocks.
    n_negative = sum(d.duration_ns < -d.bound_ns for d in (*waits, *durations))
    if n_negative:
        reason = f"{n_negative} durations between two machines are further below 0 than their bound"
        issues.append(Issue(Flag.INVALID, reason))
    if waits:
        bound_ns = max(wait.bound_ns for wait in waits)
        wait_ns = median(wait.duration_ns for wait in waits)
        if bound_ns > LARGEST_SHARE * wait_ns:
            reason = (
                f"clocks of two machines agree to {bound_ns / 1e6:.3f} ms, "
                f"more than {LARGEST_SHARE:.0%} of the median wait of {wait_ns / 1e6:.3f} ms"
            )
            issues.append(Issue(Flag.DISTURBED, reason))
    return issues
