"""Sets the CPUs of child processes, and of this process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil


@contextlib.contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Set this thread's CPU affinity, which child processes inherit, and restore it afterwards.

    The parent sets it before the fork, so that every thread of the child has it and no Python code
    runs between fork and exec.
    """
    if not cpus or not psutil.LINUX:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def confined(cpus: Sequence[int]) -> Iterator[None]:
    """Set the CPU affinity of every thread of this process, and restore it afterwards."""
    if not psutil.LINUX:
        yield
        return
    before = os.sched_getaffinity(0)
    _confine(cpus)
    try:
        yield
    finally:
        _confine(before)


def _confine(cpus: Iterable[int]) -> None:
    # The kernel sets the affinity of one thread only. Threads that libraries started before would
    # still run on the CPUs of the workers.
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), cpus)
