"""Reads how long the threads of a trial ran, and waited for a CPU while they could run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from lab.host.procfs import text_of
from lab.recording.host_counters import TICK_S

PROC = Path("/proc")
# Share of a role's CPU time that the threads below may lack before its wait counts as unknown.
MOST_UNSEEN = 0.1


class ThreadTimes(NamedTuple):
    """Totals of one thread since its start, in ns (Documentation/scheduler/sched-stats.rst)."""

    ran_ns: int
    waited_ns: int


Threads: TypeAlias = Mapping[tuple[int, int], ThreadTimes]
"""Process id and thread id -> times."""


def thread_times(pids: Iterable[int], proc: Path = PROC) -> Threads:
    """Read the times of every thread of these processes; a thread that has ended has none.

    /proc/PID/schedstat holds the main thread alone, so the file of each thread is read.
    """
    times = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for folder in (proc / str(pid) / "task").iterdir():
                if words := (text_of(folder / "schedstat") or "").split():
                    times[pid, int(folder.name)] = ThreadTimes(int(words[0]), int(words[1]))
    return times


def waited_ns(before: Threads, after: Threads, used_ns: int) -> int | None:
    """Return how long threads waited for a CPU between two readings, in ns.

    A thread that ended between the readings has taken its times with it. None if the threads that
    remain account for too little of `used_ns`, the CPU time of their processes and of ended
    children: their waits would say nothing about those of the others.
    """
    none = ThreadTimes(0, 0)
    # A thread that began between the readings has all of its times in the window.
    pairs = [(before.get(key, none), times) for key, times in after.items()]
    ran_ns = sum(end.ran_ns - begin.ran_ns for begin, end in pairs)
    # The CPU time of ended children is counted in ticks.
    if used_ns - ran_ns > max(MOST_UNSEEN * used_ns, 2 * TICK_S * 1e9):
        return None
    return sum(end.waited_ns - begin.waited_ns for begin, end in pairs)
