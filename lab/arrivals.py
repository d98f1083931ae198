"""When each task is offered: plans made beforehand, and the pacer that keeps them.

A plan never reacts to completions (METHOD M6), and is a pure function of arrival and seed, so
every backend of a block is offered the same one (METHOD M4).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator

from lab.model import Arrival, Paced

# `time.sleep` alone wakes 80-160 us late at the median (METHOD M7), so it is asked to wake this
# much early and the rest is spun away.
SPIN_NS = 300_000


def offsets_ns(arrival: Arrival, seed: int) -> list[int]:
    """Return each task's intended instant after the begin of the window, in nanoseconds.

    Poisson gaps are exponential with mean 1/rate, uniform gaps are all 1/rate (METHOD M6).
    A burst, and round trips, whose instants the answers decide, are all zero.
    """
    if not isinstance(arrival, Paced):
        return [0] * arrival.n_tasks
    mean_ns = 1e9 / arrival.rate_hz
    if arrival.gaps == "uniform":
        return [round(index * mean_ns) for index in range(1, arrival.n_tasks + 1)]
    draw = random.Random(seed)
    instant = 0.0
    plan = []
    for _ in range(arrival.n_tasks):
        instant += draw.expovariate(1.0) * mean_ns
        plan.append(round(instant))
    return plan


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
