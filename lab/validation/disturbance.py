"""Decides from the host's counters whether a trial was disturbed (METHOD M23)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lab.core.model import Flag
from lab.recording.host_counters import TICK_S, HostReading


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The disturbance between two readings: shares of 1, and counts."""

    steal: float | None
    other_cpu: float | None
    calibration_drift: float | None
    pressure_cpu: float | None
    pressure_memory: float | None
    pressure_io: float | None
    throttled: float | None
    swap_ins: float | None
    oom_kills: float | None
    resolution: float


# The fields of a `Disturbance` that are columns of a trial's row.
DISTURBANCE_COLUMNS = ("steal", "other_cpu", "calibration_drift", "pressure_cpu")


@dataclass(frozen=True, slots=True)
class Threshold:
    """The values above which a signal makes a trial noisy, or invalid."""

    signal: str
    noisy_above: float
    invalid_above: float
    sentence: str


# The part of METHOD M23's table that comes from the machine's counters; problems in the trial's
# records come as findings. CPU pressure has no threshold: saturated workers raise it too.
THRESHOLDS = (
    Threshold("steal", 0.01, 0.05, "steal: the hypervisor took {:.1%} of the CPU time"),
    Threshold("other_cpu", 0.02, 0.10, "foreign CPU: other processes used {:.1%}"),
    Threshold("calibration_drift", 0.03, 0.10, "drift: a fixed loop's time changed by {:.1%}"),
    Threshold("throttled", 0.01, 0.10, "quota: it stopped the lab in {:.1%} of its periods"),
    Threshold("pressure_memory", 0.001, math.inf, "memory: all threads waited {:.1%} of the time"),
    Threshold("swap_ins", 0, math.inf, "swapping: {:.0f} pages were read back"),
    Threshold("oom_kills", 0, 0, "out of memory: the kernel killed {:.0f} processes"),
)
# Read in ticks of 10 ms: only the part above the resolution of the window is used.
IN_TICKS = ("steal", "other_cpu")


class Issue(Protocol):
    """A problem in the trial's records."""

    @property
    def flag(self) -> Flag:
        """The flag that it gives to the trial."""

    @property
    def reason(self) -> str:
        """A sentence that describes it."""


def disturbance(
    before: HostReading,
    after: HostReading,
    own_cpu_ns: int,
    calibration_before_ns: int,
    calibration_after_ns: int,
) -> Disturbance:
    """Compare two readings (formulas of METHOD M23).

    `own_cpu_ns` is the CPU time of driver, servers, workers and the lab between the readings.
    Foreign CPU is ``(busy - own) / total``; slightly below zero means none. Busy is elapsed time
    minus idle and stolen time, because the kernel counts idle time exactly and busy time in ticks:
    with tasks of 1 ms, the busy ticks of /proc/stat were 3 % too low, this formula 0.5 %.
    """

    def change(name: str) -> float | None:
        begin, end = getattr(before, name), getattr(after, name)
        return None if begin is None or end is None else float(end - begin)

    window_s = (after.t_ns - before.t_ns) / 1e9
    total_s = before.cpus * window_s if before.cpus else None
    idle_s, steal_s = change("idle_s"), change("steal_s")
    foreign_s = None
    if total_s is not None and idle_s is not None and steal_s is not None:
        foreign_s = total_s - idle_s - steal_s - own_cpu_ns / 1e9
    return Disturbance(
        steal=_share(steal_s, total_s),
        other_cpu=_share(foreign_s, total_s),
        calibration_drift=abs(calibration_after_ns / calibration_before_ns - 1),
        pressure_cpu=_share(change("pressure_cpu_us"), window_s * 1e6),
        pressure_memory=_share(change("pressure_memory_us"), window_s * 1e6),
        pressure_io=_share(change("pressure_io_us"), window_s * 1e6),
        throttled=_share(change("throttled"), change("quota_periods")),
        swap_ins=change("swap_ins"),
        oom_kills=change("oom_kills"),
        # Rounding: one tick per CPU at each end, 2 % of a second and 0.1 % of twenty seconds.
        resolution=2 * TICK_S / window_s if window_s else 1.0,
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def judge_disturbance(
    disturbed: Disturbance | None, findings: Iterable[Issue] = ()
) -> tuple[Flag, tuple[str, ...]]:
    """Return the worst flag of all signals and findings, and the reason for each flag.

    `disturbed` is None for a trial without a window.
    """
    signals = [] if disturbed is None else [_judged(disturbed, t) for t in THRESHOLDS]
    problems = [(finding.flag, finding.reason) for finding in findings]
    flags = [(flag, reason) for flag, reason in signals + problems if flag != Flag.OK]
    worst = max((flag for flag, _ in flags), key=list(Flag).index, default=Flag.OK)
    return worst, tuple(reason for _, reason in flags)


def _judged(disturbed: Disturbance, threshold: Threshold) -> tuple[Flag, str]:
    value: float | None = getattr(disturbed, threshold.signal)
    if value is None:
        return Flag.OK, ""
    certain = value - (disturbed.resolution if threshold.signal in IN_TICKS else 0)
    reason = threshold.sentence.format(value)
    if certain > threshold.invalid_above:
        return Flag.INVALID, reason
    return (Flag.NOISY if certain > threshold.noisy_above else Flag.OK), reason
