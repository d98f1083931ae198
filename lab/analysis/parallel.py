"""A function over many items in as many processes as there are CPUs, for what is made after a run.

Nothing is measured meanwhile, so nobody is disturbed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
# Trials of a run from which on the work of all is longer than the start of processes.
MANY_TRIALS = 200


def mapped(
    function: Callable[[Item], Made], items: Sequence[Item], *, side_by_side: bool
) -> list[Made]:
    """Return what the function makes of each item, in their order.

    Where it is to go on side by side, function, items and results are pickled. What is raised for
    an item is raised here.
    """
    if not side_by_side:
        return list(map(function, items))
    # Fresh ones, for libraries here may have threads. Ctrl-C is the parent's to answer.
    with ProcessPoolExecutor(
        min(len(items), len(os.sched_getaffinity(0))),
        get_context("spawn"),
        signal.signal,
        (signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        return list(pool.map(function, items, chunksize=max(1, len(items) // 64)))
