"""Tests the thresholds of METHOD M23 and the reasons of a flag."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from lab.core.model import Flag
from lab.recording.host_counters import TICK_S, CpuTimes, HostReading
from lab.validation.contention import Contention
from lab.validation.disturbance import Disturbance, disturbance, judge_disturbance
from lab.validation.issue import Issue

SECOND = 1_000_000_000
SIGNALS: dict[str, Any] = {field.name: 0.0 for field in fields(Disturbance)}
QUIET = Disturbance(**{**SIGNALS, "roles": "workers"})
NONE = Contention(0.0, 0.0, 0.0, "workers")
# An idle machine of two CPUs, and the same ten seconds later.
BEFORE = HostReading(
    0, {0: CpuTimes(50.0, 1.0), 1: CpuTimes(50.0, 1.0)}, 10, 20, 30, 1, 500, 7, 0, 50, 5
)
AFTER = replace(BEFORE, t_ns=10 * SECOND, cpus={0: CpuTimes(60.0, 1.0), 1: CpuTimes(60.0, 1.0)})


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
    seen = disturbance(BEFORE, after, NONE, (0, 1))
    assert (seen.pressure_cpu, seen.pressure_memory, seen.pressure_io) == (0.2, 0.1, 0.05)
    assert (seen.throttled, seen.swap_ins, seen.oom_kills) == (0.25, 2.0, 1.0)
    assert seen.resolution == pytest.approx(2 * TICK_S / 10)


def test_steal_counts_on_the_cpus_of_the_trial() -> None:
    """One of ten seconds of CPU 1 was stolen: 5 % of both CPUs, 10 % of this one, none of CPU 0."""
    after = replace(AFTER, cpus={0: CpuTimes(60.0, 1.0), 1: CpuTimes(59.0, 2.0)})
    steal = [disturbance(BEFORE, after, NONE, cpus).steal for cpus in ((0, 1), (1,), (0,))]
    assert steal == pytest.approx([0.05, 0.1, 0.0])


def test_an_unreadable_signal_is_null_and_does_not_change_the_flag() -> None:
    """A counter that the machine lacks is None, never 0."""
    nothing = HostReading(0, {}, *[None] * 9)
    unknown = Contention(None, None, None, "")
    seen = disturbance(nothing, replace(nothing, t_ns=SECOND), unknown, (0, 1))
    values = {seen.steal, seen.cpu_taken, seen.other_cpu, seen.pressure_cpu, seen.throttled}
    assert values == {None}
    assert judge_disturbance(seen) == (Flag.OK, ())


# METHOD M23, typed by hand: signal, noisy above, disturbed above.
TABLE = [
    ("steal", 0.01, 0.05),
    ("cpu_taken", 0.02, 0.10),
    ("throttled", 0.01, 0.10),
    ("pressure_memory", 0.001, None),
    ("swap_ins", 0, None),
    ("oom_kills", None, 0),
]


@pytest.mark.parametrize(("signal", "noisy", "disturbed"), TABLE)
def test_thresholds_are_those_of_the_method(
    signal: str, noisy: float | None, disturbed: float | None
) -> None:
    """A value at the threshold has no effect; above it, the flag has a reason."""
    for threshold, flag, below in (
        (noisy, Flag.NOISY, Flag.OK),
        (disturbed, Flag.DISTURBED, Flag.OK if noisy is None else Flag.NOISY),
    ):
        if threshold is not None:
            assert judge_disturbance(_with(signal, threshold))[0] == below
            raised, reasons = judge_disturbance(_with(signal, threshold + 0.001))
            assert raised == flag
            assert len(reasons) == 1
            assert ";" not in reasons[0]
    if disturbed is None:
        assert judge_disturbance(_with(signal, 1e9))[0] == Flag.NOISY


def _with(signal: str, value: float) -> Disturbance:
    return Disturbance(**{**SIGNALS, "roles": "workers", signal: value})


def test_the_worst_flag_is_used_with_every_reason() -> None:
    """Signals and findings have the same weight, and all reasons are listed."""
    seen = replace(QUIET, cpu_taken=0.28, steal=0.02, roles="driver and workers")
    flag, reasons = judge_disturbance(
        seen, [Issue(Flag.OK, "fine"), Issue(Flag.NOISY, "a mismatch")]
    )
    assert flag == Flag.DISTURBED
    assert reasons == (
        "the hypervisor took CPU time: 2.0 %",
        "other processes took CPU time: 28.0 % of the CPUs of the driver and workers",
        "a mismatch",
    )
    assert judge_disturbance(seen, [Issue(Flag.INVALID, "3 wrong")])[0] == Flag.INVALID
    assert judge_disturbance(None) == (Flag.OK, ())


@pytest.mark.parametrize("window_s", [1, 10, 60])
def test_a_long_window_resolves_smaller_shares(window_s: int) -> None:
    """Three percent are within the rounding of one second, not of ten."""
    after = replace(AFTER, t_ns=window_s * SECOND)
    seen = disturbance(BEFORE, after, Contention(0.03, 0.03, 0.03, "workers"), ())
    assert judge_disturbance(seen)[0] == (Flag.OK if window_s == 1 else Flag.NOISY)
