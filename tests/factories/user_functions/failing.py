"""Functions that fail: always, from a certain call on, in a pool alone, or with their process."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from typing import Any

# Calls that one process serves well.
GOOD_CALLS = 70
_calls = itertools.count(1)
_quota = iter(range(GOOD_CALLS))


class TwoArgumentsError(Exception):
    """Cannot be rebuilt from its arguments, so that pools cannot carry it back."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")


class UnprintableError(Exception):
    """Cannot be printed."""

    def __str__(self) -> str:
        """Raise."""
        raise RuntimeError("no text")


def boom() -> None:
    """Raise an exception that its message explains."""
    raise ValueError("the disk of customer 4711 is missing")


def unpicklable() -> None:
    """Raise what cannot be carried back."""
    raise TwoArgumentsError(5, "no")


def unprintable() -> None:
    """Raise what has no text."""
    raise UnprintableError


def caused() -> None:
    """Raise because of another exception, with a message of several lines."""
    try:
        boom()
    except ValueError as error:
        raise LookupError("first line\nsecond line") from error


def counted() -> int:
    """Return 1 for the first calls of a process, and raise for all that come after."""
    if next(_calls) > GOOD_CALLS:
        raise ConnectionError("too many requests")
    return 1


def seldom() -> int:
    """Do the same with an iterator that ends."""
    return 1 + 0 * next(_quota)


def fast_fail() -> int:
    """Work for a while in the first calls, and refuse the others at once, which is faster."""
    next(_quota)
    end = time.perf_counter_ns() + 100_000
    while time.perf_counter_ns() < end:
        pass
    return 1


def nested_pool() -> Any:
    """Use a pool, which a daemonic child of another one must not."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.map(abs, range(4)))


def killed() -> None:
    """Be killed at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_later() -> int:
    """Be killed after some calls, as the kernel kills one that wants too much memory."""
    if next(_calls) > GOOD_CALLS // 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1
