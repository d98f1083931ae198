"""When each task is offered: plans made beforehand, and the pacer that keeps them.

A plan never reacts to completions (METHOD M6), and is a pure function of arrival and seed, so
every backend of a block is offered the same one (METHOD M4).
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator

from lab.core.model import Arrival, Paced

# `time.sleep` alone wakes 80-160 us late at the median (METHOD M7), so it is asked to wake this
# much early and the rest is spun away.
SPIN_NS = 300_000
GAPS = ("poisson", "uniform", "bursty")
# Bursty arrivals are on for a fifth of each cycle, and Poisson at five times the rate then.
CYCLE_NS, ON = 500_000_000, 0.2


def offsets_ns(arrival: Arrival, seed: int) -> list[int]:
    """Return each task's intended instant after the begin of the window, in nanoseconds.

    Poisson gaps are exponential with mean 1/rate, uniform gaps are all 1/rate; bursty arrivals are
    on and off by turns, and their rate is that of whole cycles (METHOD M6). A burst, and round
    trips, whose instants the answers decide, are all zero.
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


def pace(
    instants_ns: Iterable[int],
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[int]:
    """Yield each intended instant as it comes; late ones at once, none dropped.

    The instants ascend, in nanoseconds of `clock_ns`; `sleep` takes seconds.
    """
    for instant in instants_ns:
        while (early := instant - clock_ns()) > 0:
            # Gives up the GIL each time round: workers may live in this process.
            sleep(max(0, early - SPIN_NS) / 1e9)
        yield instant
