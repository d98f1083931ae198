"""Tests that disturbances are flagged, and that rounding of the counters is not."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.model import Flag
from lab.core.provider import CounterReading
from lab.recording import host_counters
from lab.recording.host_counters import HostReading, Sampler, read_host
from lab.validation.disturbance import Disturbance, disturbance, judge_disturbance

SECOND = 1_000_000_000
QUIET = Disturbance(
    steal=0.0,
    other_cpu=0.0,
    calibration_drift=0.0,
    pressure_cpu=0.0,
    pressure_memory=0.0,
    pressure_io=0.0,
    throttled=0.0,
    swap_ins=0.0,
    oom_kills=0.0,
    resolution=0.0,
)
# An idle machine of four CPUs, and the same ten seconds later.
BEFORE = HostReading(0, 4, 100.0, 1.0, 10, 20, 30, 1, 500, 7, 0, 50, 5)
AFTER = replace(BEFORE, t_ns=10 * SECOND, idle_s=140.0)


@dataclass(frozen=True)
class Problem:
    """A finding of the records."""

    flag: Flag
    reason: str


def test_shares_are_of_all_cpu_time() -> None:
    """40 s on four CPUs are 30 s idle, 2 s stolen, 5 s of the lab and 3 s of others (M23)."""
    after = replace(AFTER, idle_s=130.0, steal_s=3.0)
    seen = disturbance(BEFORE, after, 5 * SECOND, 1_000, 1_050)
    assert seen.steal == pytest.approx(2 / 40)
    assert seen.other_cpu == pytest.approx(3 / 40)
    assert seen.calibration_drift == pytest.approx(0.05)
    assert seen.resolution == pytest.approx(2 * host_counters.TICK_S / 10)


def test_pressure_is_of_the_window() -> None:
    """Pressure counters are in microseconds; throttling is a share of the quota's periods."""
    after = replace(
        AFTER,
        pressure_cpu_us=2_000_010,
        pressure_memory_us=1_000_020,
        pressure_io_us=500_030,
        quota_periods=150,
        throttled=30,
        swap_ins=9,
        oom_kills=1,
    )
    seen = disturbance(BEFORE, after, 0, 1, 1)
    assert (seen.pressure_cpu, seen.pressure_memory, seen.pressure_io) == (0.2, 0.1, 0.05)
    assert (seen.throttled, seen.swap_ins, seen.oom_kills) == (0.25, 2.0, 1.0)


def test_a_faster_loop_is_a_drift_too() -> None:
    """A CPU that becomes faster distorts the comparison like one that becomes slower."""
    assert disturbance(BEFORE, AFTER, 0, 1_000, 900).calibration_drift == pytest.approx(0.1)


def test_an_unreadable_signal_is_null_and_does_not_change_the_flag() -> None:
    """A counter that the machine lacks is None, never 0."""
    nothing = HostReading(0, *[None] * (len(fields(HostReading)) - 1))
    seen = disturbance(nothing, replace(nothing, t_ns=SECOND), SECOND, 1, 1)
    assert {seen.steal, seen.other_cpu, seen.pressure_cpu, seen.throttled, seen.swap_ins} == {None}
    assert judge_disturbance(seen) == (Flag.OK, ())


# METHOD M23, typed by hand: signal, noisy above, invalid above.
TABLE = [
    ("steal", 0.01, 0.05),
    ("other_cpu", 0.02, 0.10),
    ("calibration_drift", 0.03, 0.10),
    ("throttled", 0.01, 0.10),
    ("pressure_memory", 0.001, None),
    ("swap_ins", 0, None),
    ("oom_kills", None, 0),
]


@pytest.mark.parametrize(("signal", "noisy", "invalid"), TABLE)
def test_thresholds_are_those_of_the_method(
    signal: str, noisy: float | None, invalid: float | None
) -> None:
    """A value at the threshold has no effect; above it, the flag has a reason."""
    for threshold, flag, below in (
        (noisy, Flag.NOISY, Flag.OK),
        (invalid, Flag.INVALID, Flag.OK if noisy is None else Flag.NOISY),
    ):
        if threshold is not None:
            assert judge_disturbance(replace(QUIET, **{signal: threshold}))[0] == below
            raised, reasons = judge_disturbance(replace(QUIET, **{signal: threshold + 0.001}))
            assert raised == flag
            assert len(reasons) == 1
            assert ";" not in reasons[0]
    if invalid is None:
        assert judge_disturbance(replace(QUIET, **{signal: 1e9}))[0] == Flag.NOISY


def test_the_worst_flag_is_used_with_every_reason() -> None:
    """Signals and findings have the same weight, and all reasons are listed."""
    seen = replace(QUIET, other_cpu=0.05, calibration_drift=0.5)
    flag, reasons = judge_disturbance(
        seen, [Problem(Flag.OK, "fine"), Problem(Flag.NOISY, "a mismatch")]
    )
    assert flag == Flag.INVALID
    assert [reason.split(":")[0] for reason in reasons] == [
        "foreign CPU",
        "drift",
        "a mismatch",
    ]
    assert judge_disturbance(None, [Problem(Flag.INVALID, "3 wrong")]) == (
        Flag.INVALID,
        ("3 wrong",),
    )
    assert judge_disturbance(None) == (Flag.OK, ())


@given(
    cpus=st.integers(1, 256),
    window_s=st.floats(0.1, 60),
    start_s=st.floats(0, 1e6),
    share=st.floats(0, 1),
)
def test_rounding_alone_never_raises_a_flag(
    cpus: int, window_s: float, start_s: float, share: float
) -> None:
    """A machine that runs only the lab is ok, whatever the position of the ticks at both ends."""

    def read(at_s: float, idle_s: float) -> HostReading:
        ticks = cpus * int(idle_s / cpus / host_counters.TICK_S)
        return replace(
            BEFORE,
            t_ns=int(at_s * SECOND),
            cpus=cpus,
            idle_s=ticks * host_counters.TICK_S,
            steal_s=0.0,
        )

    idle_s = cpus * window_s * (1 - share)
    before, after = read(start_s, start_s), read(start_s + window_s, start_s + idle_s)
    own_ns = int(cpus * window_s * share * SECOND)
    assert judge_disturbance(disturbance(before, after, own_ns, 1, 1)) == (Flag.OK, ())


@pytest.mark.parametrize("window_s", [1, 10, 60])
def test_a_long_window_resolves_smaller_shares(window_s: int) -> None:
    """Three percent of foreign CPU are within the rounding of one second, not of ten."""
    idle_s = 100.0 + 4 * window_s * 0.97
    after = replace(AFTER, t_ns=window_s * SECOND, idle_s=idle_s)
    flag = judge_disturbance(disturbance(BEFORE, after, 0, 1, 1))[0]
    assert flag == (Flag.OK if window_s == 1 else Flag.NOISY)


HOG = "print(flush=True)\nwhile True: pass"


def test_another_process_that_uses_a_cpu_is_flagged() -> None:
    """KAT-13: another process burns CPU; the reason of the flag is foreign CPU."""
    hogs = [
        subprocess.Popen([sys.executable, "-c", HOG], stdout=subprocess.PIPE)
        for _ in range((psutil.cpu_count() or 1) // 4 + 1)
    ]
    try:
        for hog in hogs:
            assert hog.stdout is not None
            hog.stdout.readline()
        before, own_ns = read_host(), time.process_time_ns()
        used_s = -sum(sum(psutil.Process(hog.pid).cpu_times()[:2]) for hog in hogs)
        time.sleep(1)
        used_s += sum(sum(psutil.Process(hog.pid).cpu_times()[:2]) for hog in hogs)
        after, own_ns = read_host(), time.process_time_ns() - own_ns
    finally:
        for hog in hogs:
            hog.kill()
            hog.communicate()
    seen = disturbance(before, after, own_ns, 1, 1)
    assert before.cpus is not None
    assert seen.other_cpu is not None
    total_s = before.cpus * (after.t_ns - before.t_ns) / SECOND
    assert seen.other_cpu > used_s / total_s - 2 * seen.resolution
    flag, reasons = judge_disturbance(seen)
    assert flag in {Flag.NOISY, Flag.INVALID}
    assert any(reason.startswith("foreign CPU") for reason in reasons)


def test_cpu_time_of_the_lab_is_not_foreign() -> None:
    """The CPU time of driver, servers, workers and the lab is subtracted first."""
    busy = replace(AFTER, idle_s=104.0)
    assert judge_disturbance(disturbance(BEFORE, busy, 36 * SECOND, 1, 1)) == (Flag.OK, ())
    assert judge_disturbance(disturbance(BEFORE, busy, 30 * SECOND, 1, 1))[0] == Flag.INVALID


PROC = {
    "proc/stat": "cpu  10 1 5 900 40 0 2 30 7 0\ncpu0 5 0 3 450 20 0 1 15 3 0\n"
    "cpu1 5 1 2 450 20 0 1 15 4 0\nintr 5 0\nctxt 1234\nprocs_running 2\n",
    "proc/vmstat": "pswpin 17\npswpout 3\noom_kill 2\n",
    "proc/loadavg": "0.10 0.20 0.30 3/99 4711\n",
    "proc/pressure/cpu": "some avg10=1.00 avg60=0 avg300=0 total=11\nfull avg10=0 total=12\n",
    "proc/pressure/memory": "some avg10=1.00 avg60=0 avg300=0 total=21\nfull avg10=0 total=22\n",
    "proc/pressure/io": "some avg10=1.00 avg60=0 avg300=0 total=31\nfull avg10=0 total=32\n",
    "proc/self/cgroup": "0::/ours\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu\n",
    "sys/fs/cgroup/ours/cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 4\n",
}


def test_each_counter_is_read_from_its_file(tmp_path: Path) -> None:
    """The fields of /proc/stat, the totals of PSI and the others are in the right columns."""
    for name, text in PROC.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    idle_s, steal_s = 940 * host_counters.TICK_S, 30 * host_counters.TICK_S
    expected = HostReading(0, 2, idle_s, steal_s, 11, 22, 31, 3, 1234, 17, 2, 40, 4)
    assert replace(read_host(tmp_path), t_ns=0) == expected


def test_missing_files_are_nulls(tmp_path: Path) -> None:
    """On a machine without /proc, every counter except the clock is None."""
    reading = read_host(tmp_path)
    assert {getattr(reading, f.name) for f in fields(reading)[1:]} == {None}
    assert reading.t_ns > 0


def test_calibration_takes_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interruptions of some repeats do not change the result."""
    assert host_counters.calibrate() > 0
    times = iter([14, 11, 90, 10, *[12] * host_counters.CALIBRATION_REPEATS])
    monkeypatch.setattr(host_counters, "_time_of_loop", lambda: next(times))
    assert host_counters.calibrate() == 10


def test_the_sampler_samples_until_it_is_stopped() -> None:
    """Host counters, roles and the cost of the sampler are read from start to stop, not after."""
    calls = threading.Semaphore(0)

    def roles() -> list[CounterReading]:
        calls.release()
        used = {"driver": 1.5, "workers": 2.5}
        return [CounterReading(role, "cpu_s", seconds, "s") for role, seconds in used.items()]

    with Sampler(roles, period_s=0.001) as sampler:
        for _ in range(3):
            assert calls.acquire(timeout=10)
    samples = sampler.stop()
    assert [t.name for t in threading.enumerate() if t.name == "sampler"] == []
    assert samples is sampler.stop()
    at_ns = sorted({sample.t_ns for sample in samples})
    assert len(at_ns) >= 3
    last = {(s.source, s.metric): s for s in samples if s.t_ns == at_ns[-1]}
    assert last["driver", "cpu_s"].value == 1.5
    assert last["workers", "cpu_s"].unit == "s"
    assert last["host", "sampler_cpu_s"].value > 0
    assert ("host", "idle_s") in last
    assert len({(s.t_ns, s.source, s.metric) for s in samples}) == len(samples)


def test_an_error_in_the_sampler_is_raised_by_stop() -> None:
    """The error of the thread is not lost."""

    def broken() -> list[CounterReading]:
        raise RuntimeError("the roles are gone")

    sampler = Sampler(broken)
    sampler.start()
    with pytest.raises(RuntimeError, match="the roles are gone"):
        sampler.stop()


def test_a_sampler_that_never_started_has_no_samples() -> None:
    """A trial that fails before its window may stop a sampler that has not started."""
    assert Sampler(list).stop() == []
