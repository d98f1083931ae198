"""Tests how the duration of a user's function is taken from its calls before a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lab.recording import cpu_waits
from lab.running import call_time
from lab.running.call_time import Call, duration_of

MS = 1_000_000


def calls_of(*alone_ms: float, wall_ms: float = 33.0, is_seen: bool = True) -> list[Call]:
    """Return calls that took `wall_ms`, of which the function alone would have taken less."""
    return [Call(round(wall_ms * MS), round(ms * MS), is_seen) for ms in alone_ms]


def test_the_time_that_a_call_waited_for_a_cpu_is_not_part_of_its_duration() -> None:
    """A call of 5.8 ms took 33 ms beside busy programs, and the duration is still 5.8 ms."""
    duration = duration_of(calls_of(5.9, 5.8, 6.4), other_cpu=0.9)
    assert (duration.ns, duration.n_calls, duration.uncertainty) == (5_800_000, 3, "")
    assert duration.waited == pytest.approx(0.817, abs=0.001)


def test_calls_that_do_not_agree_give_no_certain_duration() -> None:
    """One fast call among slow ones may be the exception."""
    duration = duration_of(calls_of(5.8, 11.0, 14.0), other_cpu=0.0)
    assert duration.ns == 11_000_000  # for the plan: the median is nearer to most calls
    assert duration.uncertainty == "its 3 calls took 5.8 ms to 14 ms"


def test_waits_in_other_threads_and_processes_are_unknown() -> None:
    """There the use of the CPUs by others decides: above 10 % nothing is certain."""
    unseen = calls_of(5.8, 5.8, 5.9, is_seen=False)
    uncertainty = duration_of(unseen, other_cpu=0.45).uncertainty
    assert uncertainty == "other processes used 45 % of the CPUs meanwhile"
    assert duration_of(unseen, other_cpu=0.05).uncertainty == ""
    assert duration_of(unseen, other_cpu=None).uncertainty == ""


def test_one_call_is_no_certain_duration() -> None:
    """Nothing shows whether it was disturbed; a function that fails has no duration."""
    assert duration_of([], other_cpu=0.0) == call_time.CallDuration(0, 0, 0.0, "no call returned")
    assert duration_of(calls_of(5.8), other_cpu=0.0).uncertainty == "it was called once"


def test_calls_are_repeated_until_two_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least `FEWEST` calls, and none later than `LONGEST_S`: here 2 s, of a quarter each."""
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(now) / 4)
    slow: Iterator[float] = iter([9, 14, 19, 5.9, 5.8, 30])
    timed = call_time.settle(calls_of(20, 11), lambda: calls_of(next(slow))[0])
    assert [call.alone_ns / MS for call in timed] == [20, 11, 9, 14, 19, 5.9, 5.8]
    never = iter(3.0**n for n in range(100))
    assert len(call_time.settle([], lambda: calls_of(next(never))[0])) == 7


def test_a_wait_for_a_cpu_is_seen_in_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's count is subtracted from the whole time, and never from the thread's work."""
    watch = call_time.Stopwatch()
    end = time.perf_counter() + 0.02
    while time.perf_counter() < end:
        pass
    call = watch.stop()
    assert 0 < call.alone_ns <= call.wall_ns
    assert call.is_seen
    watch = call_time.Stopwatch()
    worker = threading.Thread(target=lambda: sum(range(10**6)))
    worker.start()
    worker.join()
    assert not watch.stop().is_seen
    monkeypatch.setattr(cpu_waits, "thread_times", lambda _: {})
    assert not call_time.Stopwatch().stop().is_seen
