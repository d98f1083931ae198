"""Calculates how long the window of a trial may take, from its arrival."""

from __future__ import annotations

from lab.core import fire_times
from lab.core.model import Arrival, Idle, Paced, Periodic, RoundTrip

# A scheduler may take this long to notice a new job.
PATIENCE_S = 60.0
GRACE_S = 5.0
# Some clients look for a result every 0.2 s by design.
LONGEST_ROUND_TRIP_S = 0.5


def first_run_s(arrival: Periodic) -> float:
    """Return the time limit for the first firing of a job, in seconds."""
    return PATIENCE_S + fire_times.period_s(arrival)


def longest_s(arrival: Arrival) -> float:
    """Return the longest time from the start of the window to the last offer, in seconds.

    With jobs it is the sum of the limits for the first firing and for all occurrences.
    """
    if isinstance(arrival, Periodic):
        return first_run_s(arrival) + fire_times.window_s(arrival)
    if isinstance(arrival, Paced):
        return arrival.n_tasks / arrival.rate_hz
    if isinstance(arrival, RoundTrip):
        return arrival.n_tasks * LONGEST_ROUND_TRIP_S
    return arrival.seconds if isinstance(arrival, Idle) else 0.0
