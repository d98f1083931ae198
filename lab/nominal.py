"""When a job is due: its nominal instants, from its specification alone (METHOD M26).

A cron line names instants of the wall clock. An interval names a period; its phase is the
system's, and the job's first run opens it. So the same holds for every system, whether it is told
its jobs while it runs or reads them as it starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lab import cron
from lab.model import Job, Periodic

# What starts in the last tenth of a period is the next occurrence, early; before that it is the
# last one, late.
EARLY = 0.1


def due_ns(
    job: Job, first_ns: int, begin_ns: int, n_occurrences: int, wall_offset_ns: int
) -> list[int]:
    """Return the job's nominal instants that count, and one more: the end of the last period.

    They are those after the job's first run, which opens the schedule, and after the window's
    begin.

    Args:
        job: What was specified.
        first_ns: Start of its first run; of an interval, the instant that gives the phase.
        begin_ns: Begin of the window.
        n_occurrences: How many count.
        wall_offset_ns: The wall clock minus CLOCK_MONOTONIC.
    """
    instants = _every(job, first_ns) if job.every_s else _cron(job, first_ns, wall_offset_ns)
    after = itertools.dropwhile(lambda instant: instant <= begin_ns, instants)
    return list(itertools.islice(after, n_occurrences + 1))


def _every(job: Job, first_ns: int) -> Iterator[int]:
    return itertools.count(first_ns + (period := round(job.every_s * 1e9)), period)


def _cron(job: Job, first_ns: int, wall_offset_ns: int) -> Iterator[int]:
    after_s = (first_ns + wall_offset_ns) / 1e9
    instants = (second * 10**9 - wall_offset_ns for second in cron.instants_s(job.cron, after_s))
    one, two = next(instants), next(instants)
    # Otherwise the first run was an early one of this very occurrence.
    if one - first_ns > EARLY * (two - one):
        yield one
    yield two
    yield from instants


def period_s(arrival: Periodic) -> float:
    """Return the interval, or the longest time between two of a line's next instants."""
    if arrival.every_s:
        return arrival.every_s
    some = list(itertools.islice(cron.instants_s(arrival.cron, 0.0), arrival.n_occurrences + 2))
    return float(max(late - early for early, late in itertools.pairwise(some)))


def describe(arrival: Periodic) -> str:
    """Say how many jobs there are and when they are due."""
    jobs = f"{arrival.n_tasks} job{'s' * (arrival.n_tasks != 1)}"
    return f"{jobs} every {arrival.every_s:g} s" if arrival.every_s else f"{jobs} at {arrival.cron}"


def window_s(arrival: Periodic) -> float:
    """Return how long a window may last: the first run, the occurrences, and a period of grace."""
    return (arrival.n_occurrences + 2) * period_s(arrival)
