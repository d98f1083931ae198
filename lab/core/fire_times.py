"""When a job is due: its nominal instants, from its specification alone (METHOD M26).

A cron line names instants of the wall clock, and the first that counts is the one that the job's
first run kept. An interval names a period; its phase is the system's, and the job's first run opens
it. So the same holds for every system, whether it is told its jobs while it runs or reads them as
it starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from lab.core import cron
from lab.core.model import Arrival, Idle, Job, Periodic

# What starts in the last tenth of a period is the next occurrence, early; before that it is the
# last one, late.
EARLY = 0.1


def due_ns(
    job: Job, first_ns: int, begin_ns: int, n_occurrences: int, wall_offset_ns: int
) -> list[int]:
    """Return the job's nominal instants that count, and one more: the end of the last period.

    They are those of the job's schedule, which its first run opens, after the window's begin.

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


def edges_ns(due: Sequence[int]) -> list[int]:
    """Return where the period of each occurrence begins, and at last where the last one's ends."""
    leads = [round(EARLY * (late - early)) for early, late in itertools.pairwise(due)]
    return [instant - lead for instant, lead in zip(due, [*leads, leads[-1]], strict=True)]


def _every(job: Job, first_ns: int) -> Iterator[int]:
    return itertools.count(first_ns + (period := round(job.every_s * 1e9)), period)


def _cron(job: Job, first_ns: int, wall_offset_ns: int) -> Iterator[int]:
    after_s = (first_ns + wall_offset_ns) / 1e9
    one, two = itertools.islice(cron.instants_s(job.cron, after_s), 2)
    period_s = two - one
    # Where the first run began in a period's last tenth, it was an early one of what comes next.
    latest_s = after_s + EARLY * period_s
    seconds = cron.instants_s(job.cron, after_s - period_s)
    kept_s = max(itertools.takewhile(lambda second: second <= latest_s, seconds), default=one)
    for second in cron.instants_s(job.cron, kept_s - 1):
        yield second * 10**9 - wall_offset_ns


def period_s(arrival: Periodic) -> float:
    """Return the interval, or the longest time between two of a line's next instants."""
    if arrival.every_s:
        return arrival.every_s
    some = list(itertools.islice(cron.instants_s(arrival.cron, 0.0), arrival.n_occurrences + 2))
    return float(max(late - early for early, late in itertools.pairwise(some)))


def describe(arrival: Arrival) -> str:
    """Say how many jobs there are and when they are due, or for how long there is nothing to do.

    Of any other arrival there is nothing to say, and the text is empty.
    """
    if isinstance(arrival, Idle):
        return f"idle for {arrival.seconds:g} s"
    if not isinstance(arrival, Periodic):
        return ""
    jobs = f"{arrival.n_tasks} job{'s' * (arrival.n_tasks != 1)}"
    return f"{jobs} every {arrival.every_s:g} s" if arrival.every_s else f"{jobs} at {arrival.cron}"


def planned_s(arrival: Periodic) -> float:
    """Return how long a window is expected to last: its phase is random, to a cron line also."""
    periods = arrival.n_occurrences + 2 if arrival.every_s else arrival.n_occurrences - 0.5
    return periods * period_s(arrival)


def window_s(arrival: Periodic) -> float:
    """Return how long a window may last: to the first run, and until the last period is over.

    Where jobs are removed in the end, three periods more.
    """
    return (arrival.n_occurrences + 2 + 3 * arrival.is_removed) * period_s(arrival)
