"""Reads the machine's counters, and derives the flag of a trial from them (METHOD M23).

Counters are read at both ends of the window and once a second; only differences have meaning. The
flag does not depend on the trial's results. A counter that the machine lacks is None, does not
change the flag, and is an empty cell in the row.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, Self

from lab.core.model import Flag
from lab.host.procfs import cgroup_texts, text_of
from lab.results.schema.column import column

TICK_S = 1 / os.sysconf("SC_CLK_TCK")  # the unit of /proc/stat
CALIBRATION_STEPS = 120_000  # about 10 ms
CALIBRATION_REPEATS = 30


@dataclass(frozen=True, slots=True)
class HostReading:
    """The counters of the whole machine at one instant, since its start."""

    t_ns: int = column("when", "ns")
    cpus: int | None = column("CPUs that are online")
    idle_s: float | None = column("CPU time spent idle or waiting for a disk", "s")
    steal_s: float | None = column("CPU time that the hypervisor gave to other guests", "s")
    pressure_cpu_us: int | None = column("time with a runnable thread waiting for a CPU", "us")
    pressure_memory_us: int | None = column("time with all threads waiting for memory", "us")
    pressure_io_us: int | None = column("time with a thread waiting for a disk", "us")
    runnable: int | None = column("threads running or waiting for a CPU now", "threads")
    switches: int | None = column("context switches")
    swap_ins: int | None = column("pages read back from swap", "pages")
    oom_kills: int | None = column("processes killed because memory was full", "processes")
    quota_periods: int | None = column("periods of the lab's CPU quota", "periods")
    throttled: int | None = column("periods in which the quota stopped the lab", "periods")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The disturbance between two readings: shares of 1, and counts."""

    steal: float | None
    foreign_cpu: float | None
    calibration_drift: float | None
    pressure_cpu: float | None
    pressure_memory: float | None
    pressure_io: float | None
    throttled: float | None
    swap_ins: float | None
    oom_kills: float | None
    resolution: float


# The fields of a `Disturbance` that are columns of a trial's row.
DISTURBANCE_COLUMNS = ("steal", "foreign_cpu", "calibration_drift", "pressure_cpu")


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
    Threshold("foreign_cpu", 0.02, 0.10, "foreign CPU: other processes used {:.1%}"),
    Threshold("calibration_drift", 0.03, 0.10, "drift: a fixed loop's time changed by {:.1%}"),
    Threshold("throttled", 0.01, 0.10, "quota: it stopped the lab in {:.1%} of its periods"),
    Threshold("pressure_memory", 0.001, math.inf, "memory: all threads waited {:.1%} of the time"),
    Threshold("swap_ins", 0, math.inf, "swapping: {:.0f} pages were read back"),
    Threshold("oom_kills", 0, 0, "out of memory: the kernel killed {:.0f} processes"),
)
# Read in ticks of 10 ms: only the part above the resolution of the window is used.
IN_TICKS = ("steal", "foreign_cpu")


Counter = tuple[str, str, float, str]  # source (a part of the cluster), metric, value, unit


class Finding(Protocol):
    """A problem in the trial's records."""

    @property
    def flag(self) -> Flag:
        """The flag that it gives to the trial."""

    @property
    def reason(self) -> str:
        """A sentence that describes it."""


def read_host(root: Path = Path("/")) -> HostReading:
    """Read the machine's counters; a missing counter is None, never 0."""
    proc = root / "proc"
    stat, memory = _fields(text_of(proc / "stat")), _fields(text_of(proc / "vmstat"))
    t_ns = time.monotonic_ns()
    quota = _fields(next(iter(cgroup_texts("cpu", "cpu.stat", root)), None))
    ticks = stat.get("cpu")
    load = (text_of(proc / "loadavg") or "").split()
    return HostReading(
        t_ns=t_ns,
        cpus=sum(name.startswith("cpu") for name in stat) - 1 if ticks else None,
        idle_s=(int(ticks[3]) + int(ticks[4])) * TICK_S if ticks else None,
        steal_s=int(ticks[7]) * TICK_S if ticks else None,
        pressure_cpu_us=_pressure(proc / "pressure/cpu", "some"),
        pressure_memory_us=_pressure(proc / "pressure/memory", "full"),
        pressure_io_us=_pressure(proc / "pressure/io", "some"),
        runnable=int(load[3].partition("/")[0]) if load else None,
        switches=_count(stat, "ctxt"),
        swap_ins=_count(memory, "pswpin"),
        oom_kills=_count(memory, "oom_kill"),
        quota_periods=_count(quota, "nr_periods"),
        throttled=_count(quota, "nr_throttled"),
    )


def _fields(text: str | None) -> dict[str, list[str]]:
    lines = (line.split() for line in (text or "").splitlines())
    return {words[0]: words[1:] for words in lines if words}


def _count(counters: Mapping[str, list[str]], name: str) -> int | None:
    return int(counters[name][0]) if name in counters else None


def _pressure(path: Path, line: str) -> int | None:
    # The total, not avg10, which is smoothed and truncated (kernel's accounting/psi.rst).
    values = _fields(text_of(path)).get(line)
    return int(values[-1].removeprefix("total=")) if values else None


def calibrate() -> int:
    """Time a fixed loop of Python integers; return the shortest of thirty times, in ns.

    The shortest, not the median: interruptions only add time, and steal and foreign CPU have
    separate signals. The shortest time shows how fast this CPU runs Python now, which depends on
    frequency, heat and the load of a sibling thread. On a machine with busy neighbours, the median
    drifted three times as much.
    """
    return min(_time_of_loop() for _ in range(CALIBRATION_REPEATS))


def _time_of_loop() -> int:
    begin_ns = time.monotonic_ns()
    number = 1
    for _ in range(CALIBRATION_STEPS):
        number = (number * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return time.monotonic_ns() - begin_ns


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
        foreign_cpu=_share(foreign_s, total_s),
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


def judge(
    disturbed: Disturbance | None, findings: Iterable[Finding] = ()
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


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one counter: a `SampleRow` without its trial."""

    t_ns: int
    source: str
    metric: str
    value: float
    unit: str


class Sampler:
    """A thread that reads the machine's counters and those of the cluster once a second.

    `parts` returns the counters of the cluster; `stop` raises the exception that `parts` raised.
    The CPU time of the sampler is among the samples, as ``sampler_cpu_s``.
    """

    def __init__(self, parts: Callable[[], Iterable[Counter]], period_s: float = 1.0) -> None:
        self._parts = parts
        self._period_s = period_s
        self._samples: list[Sample] = []
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Start the sampler."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the sampler."""
        self.stop()

    def start(self) -> None:
        """Start the thread, which takes the first samples at once."""
        self._thread.start()

    def stop(self) -> list[Sample]:
        """Take the last samples, end the thread, and return all; none if it never started."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._samples

    def _run(self) -> None:
        try:
            self._read()
            while not self._ended.wait(self._period_s):
                self._read()
            self._read()
        except Exception as error:  # noqa: BLE001 - raised again by `stop`
            self._error = error

    def _read(self) -> None:
        host, parts = read_host(), self._parts()
        self._samples += [Sample(host.t_ns, *counter) for counter in parts]
        for counter in fields(host)[1:]:
            value, unit = getattr(host, counter.name), counter.metadata["unit"]
            if value is not None:
                self._samples.append(Sample(host.t_ns, "host", counter.name, float(value), unit))
        cost_s = time.thread_time_ns() / 1e9
        self._samples.append(Sample(host.t_ns, "host", "sampler_cpu_s", cost_s, "s"))
