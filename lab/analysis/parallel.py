"""Applies a function to many items in as many processes as there are CPUs.

For computations after a run, when no measurement can be disturbed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# From this number of trials on, processes save more time than their start takes.
MANY_TRIALS = 200


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, side_by_side: bool
) -> list[Result]:
    """Return the function's result for each item, in their order; exceptions are raised here.

    With `side_by_side` processes compute them: function, items and results must be picklable.
    """
    if not side_by_side:
        return list(map(function, items))
    # "spawn", because libraries may have threads here. The parent process handles Ctrl-C.
    with ProcessPoolExecutor(
        # The affinity, because os.cpu_count() also counts CPUs that this process may not use.
        min(len(items), len(os.sched_getaffinity(0))),
        get_context("spawn"),
        signal.signal,
        (signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        return list(pool.map(function, items, chunksize=max(1, len(items) // 64)))
