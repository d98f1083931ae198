"""Computes the due instant of each task in advance, and paces the submits.

The instants ignore completions (METHOD M6). They are a pure function of arrival and seed, so every
backend of a block has the same ones (METHOD M4).
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator

from lab.core.model import Arrival, Paced

# `time.sleep` wakes 80-160 us late at the median (METHOD M7), so the pacer sleeps until this long
# before the instant, and spins for the rest.
SPIN_NS = 300_000
LEAD_NS = 5_000_000
# Bursty arrivals are on for a fifth of each cycle, and then Poisson at five times the rate.
CYCLE_NS, ON = 500_000_000, 0.2


def offsets_ns(arrival: Arrival, seed: int) -> list[int]:
    """Return each task's due instant, in ns since the start of the window.

    Poisson gaps are exponential with mean 1/rate; uniform gaps are all 1/rate; bursty arrivals are
    alternately on and off, and their rate is that of whole cycles (METHOD M6). The instants of all
    other arrivals are 0: those of a burst, and those that depend on results, as in a round trip.
    """
    if not isinstance(arrival, Paced):
        return [0] * arrival.n_tasks
    mean_ns = 1e9 / arrival.rate_hz
    if arrival.gaps == "uniform":
        return [round(index * mean_ns) for index in range(1, arrival.n_tasks + 1)]
    if arrival.gaps == "bursty":
        on_ns = CYCLE_NS * ON
        busy = _poisson_ns(arrival.n_tasks, mean_ns * ON, seed)
        return [round(at // on_ns * CYCLE_NS + at % on_ns) for at in busy]
    return [round(at) for at in _poisson_ns(arrival.n_tasks, mean_ns, seed)]


def _poisson_ns(n: int, mean_ns: float, seed: int) -> Iterator[float]:
    draw = random.Random(seed)
    return itertools.accumulate(draw.expovariate(1.0) * mean_ns for _ in range(n))


def lead_ns(arrival: Arrival, drivers: int) -> int:
    """Return how long before the start of the window its instants are computed, in ns.

    Meanwhile the journal's rows are planned, and further drivers read theirs, at some 0.5 us each.
    """
    if not isinstance(arrival, Paced):
        return 0
    return LEAD_NS if drivers == 1 else LEAD_NS * drivers + 2_000 * arrival.n_tasks


def pace(
    instants_ns: Iterable[int],
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[int]:
    """Yield each due instant when it comes; an instant in the past at once; none is dropped.

    The instants ascend, in nanoseconds of `clock_ns`; `sleep` takes seconds.
    """
    for instant in instants_ns:
        while (early := instant - clock_ns()) > 0:
            # Releases the GIL in each iteration, because workers may run in this process.
            sleep(max(0, early - SPIN_NS) / 1e9)
        yield instant
