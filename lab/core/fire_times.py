"""Computes the nominal instants of a job, at which it is due, from its schedule (METHOD M26).

A cron line defines instants of the wall clock; the first one that is used is that of the job's
first firing. For an interval job, the first firing defines the phase; later due times are multiples
of the period after it. So the rule is the same for backends that get their jobs while they run and
for those that read them at their start.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from lab.core import cron
from lab.core.model import Arrival, Idle, Job, Periodic

# A firing in the last tenth of a period belongs to the next occurrence, early; any other belongs to
# the last one, late.
EARLY = 0.1


def due_ns(
    job: Job, first_ns: int, begin_ns: int, n_occurrences: int, wall_offset_ns: int
) -> list[int]:
    """Return the job's nominal instants in the window, and one more: the end of the last period.

    Args:
        job: The job.
        first_ns: Start of its first firing; of an interval, the instant that defines the phase.
        begin_ns: Start of the window; instants up to it are left out.
        n_occurrences: The number of occurrences that are judged.
        wall_offset_ns: The wall clock minus CLOCK_MONOTONIC.
    """
    instants = _every(job, first_ns) if job.every_s else _cron(job, first_ns, wall_offset_ns)
    after = itertools.dropwhile(lambda instant: instant <= begin_ns, instants)
    return list(itertools.islice(after, n_occurrences + 1))


def period_boundaries_ns(due: Sequence[int]) -> list[int]:
    """Return the starts of the periods of all occurrences, and the end of the last period."""
    leads = [round(EARLY * (late - early)) for early, late in itertools.pairwise(due)]
    return [instant - lead for instant, lead in zip(due, [*leads, leads[-1]], strict=True)]


def _every(job: Job, first_ns: int) -> Iterator[int]:
    period_ns = round(job.every_s * 1e9)
    return itertools.count(first_ns + period_ns, period_ns)


def _cron(job: Job, first_ns: int, wall_offset_ns: int) -> Iterator[int]:
    after_s = (first_ns + wall_offset_ns) / 1e9
    next_s, second_s = itertools.islice(cron.instants_s(job.cron, after_s), 2)
    period_s = second_s - next_s
    # A first firing in the last tenth of a period is an early one of the next instant.
    latest_s = after_s + EARLY * period_s
    seconds = cron.instants_s(job.cron, after_s - period_s)
    due_s = max(itertools.takewhile(lambda second: second <= latest_s, seconds), default=next_s)
    for second in cron.instants_s(job.cron, due_s - 1):
        yield second * 10**9 - wall_offset_ns


def period_s(arrival: Periodic) -> float:
    """Return the interval, or the longest time between two successive instants of the cron line."""
    if arrival.every_s:
        return arrival.every_s
    instants_s = itertools.islice(cron.instants_s(arrival.cron, 0.0), arrival.n_occurrences + 2)
    return float(max(late - early for early, late in itertools.pairwise(instants_s)))


def describe_schedule(arrival: Arrival) -> str:
    """Return the number of jobs and their schedule, or the duration of an idle trial, as text.

    Empty for any other arrival.
    """
    if isinstance(arrival, Idle):
        return f"idle for {arrival.seconds:g} s"
    if not isinstance(arrival, Periodic):
        return ""
    jobs = f"{arrival.n_tasks} job{'s' * (arrival.n_tasks != 1)}"
    return f"{jobs} every {arrival.every_s:g} s" if arrival.every_s else f"{jobs} at {arrival.cron}"


def planned_s(arrival: Periodic) -> float:
    """Return the expected length of a window in seconds; the phase of its start is random."""
    periods = arrival.n_occurrences + 2 if arrival.every_s else arrival.n_occurrences - 0.5
    return periods * period_s(arrival)


def window_s(arrival: Periodic) -> float:
    """Return the maximal length of a window in seconds: from its start to the end of all periods.

    If the jobs are removed at the end, three periods more.
    """
    return (arrival.n_occurrences + 2 + 3 * arrival.is_removed) * period_s(arrival)
