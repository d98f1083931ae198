"""Measures how long a call of a user's function takes when it runs alone (METHOD M17).

The calls before a run may share their CPUs with other programs. The kernel counts how long the
calling thread waited for a CPU, and that time is subtracted. The waits of other threads and of
child processes cannot be subtracted, because they overlap.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lab.recording import cpu_waits
from lab.recording.host_counters import TICK_S

# Calls that are repeated, and how long: a function may take minutes, or send a mail.
FEWEST, LONGEST_S = 5, 2.0
# The two fastest calls agree if the second is at most this much longer.
TOLERANCE = 0.1
# Above this share of the CPUs, a trial beside others is disturbed (METHOD M23).
MOST_OTHER_CPU = 0.1


class Call(NamedTuple):
    """One call of a function.

    Attributes:
        wall_ns: Its duration.
        alone_ns: Its duration without the time that its thread waited for a CPU.
        is_seen: False if other threads or processes worked for it, whose waits are unknown.
    """

    wall_ns: int
    alone_ns: int
    is_seen: bool


@dataclass(frozen=True, slots=True)
class CallDuration:
    """The duration of a function that runs alone.

    Attributes:
        ns: That of the fastest call; if the calls do not agree, their median, for the plan alone.
        n_calls: Number of calls.
        waited: Share of the calls' time that their thread waited for a CPU.
        uncertainty: The reason why nothing may be computed from it; empty: it is certain.
    """

    ns: int
    n_calls: int
    waited: float
    uncertainty: str


class Stopwatch:
    """Times one call in this thread, from its creation to `stop`."""

    def __init__(self) -> None:
        # Outside of the waits that are read, so that a wait at the edge is never subtracted
        # without being in the time.
        self._outer_ns = time.perf_counter_ns()
        self._used_s, self._thread = used_s(), _thread_times()
        self._inner_ns = time.perf_counter_ns()

    def stop(self) -> Call:
        """Return the call."""
        wall_ns = time.perf_counter_ns() - self._inner_ns
        thread, spent_s = _thread_times(), used_s() - self._used_s
        whole_ns = time.perf_counter_ns() - self._outer_ns
        if thread is None or self._thread is None:
            return Call(wall_ns, wall_ns, is_seen=False)
        elsewhere_s = spent_s - (thread.ran_ns - self._thread.ran_ns) / 1e9
        is_seen = elsewhere_s <= max(cpu_waits.MOST_UNSEEN * spent_s, TICK_S / 2)
        waited_ns = thread.waited_ns - self._thread.waited_ns
        # Both are at least the duration of the call alone: `whole_ns` has the readings too.
        return Call(wall_ns, min(wall_ns, whole_ns - waited_ns), is_seen)


def used_s() -> float:
    """Return the CPU time of this process and of its children that ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _thread_times() -> cpu_waits.ThreadTimes | None:
    process = os.getpid()
    return cpu_waits.thread_times([process]).get((process, threading.get_native_id()))


def settle(calls: Sequence[Call], make: Callable[[], Call]) -> list[Call]:
    """Make more calls until there are `FEWEST` and the fastest agree, at most `LONGEST_S`."""
    timed, end = [*calls], time.monotonic() + LONGEST_S
    while time.monotonic() < end and (len(timed) < FEWEST or not _agree(timed)):
        timed.append(make())
    return timed


def duration_of(calls: Sequence[Call], other_cpu: float | None) -> CallDuration:
    """Return the duration of a function from its calls.

    Args:
        calls: The calls; none if it failed, and the duration is 0.
        other_cpu: The share of the CPUs that other processes used meanwhile; None: unknown.
    """
    alone_ns = sorted(call.alone_ns for call in calls)
    wall_ns = sum(call.wall_ns for call in calls)
    waited = 1 - sum(alone_ns) / wall_ns if wall_ns else 0.0
    ns, uncertainty = alone_ns[0] if calls else 0, ""
    if not calls:
        uncertainty = "no call returned"
    elif len(calls) == 1:
        uncertainty = "it was called once"
    elif not _agree(calls):
        ns = alone_ns[len(calls) // 2]
        ends = f"{alone_ns[0] / 1e6:.3g} ms to {alone_ns[-1] / 1e6:.3g} ms"
        uncertainty = f"its {len(calls)} calls took {ends}"
    elif other_cpu and other_cpu > MOST_OTHER_CPU and not all(call.is_seen for call in calls):
        uncertainty = f"other processes used {other_cpu * 100:.0f} % of the CPUs meanwhile"
    return CallDuration(ns, len(calls), waited, uncertainty)


def _agree(calls: Sequence[Call]) -> bool:
    """Return whether the two fastest calls took equally long: chance repeats no disturbance."""
    fastest, second = sorted(call.alone_ns for call in calls)[:2]
    return second <= (1 + TOLERANCE) * fastest
