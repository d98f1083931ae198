"""Reads the counters of the machine that disturbances are judged by (METHOD M23).

Counters are read at both ends of the window and once a second; only differences have meaning. The
flag does not depend on the trial's results. A counter that the machine lacks is None, does not
change the flag, and is an empty cell in the row.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from lab.core.column import column
from lab.core.provider import CounterReading
from lab.host.procfs import cgroup_texts, text_of
from lab.recording.sample import Sample

TICK_S = 1 / os.sysconf("SC_CLK_TCK")  # the unit of /proc/stat
CPU = re.compile(r"cpu([0-9]+)")  # a line of /proc/stat
CALIBRATION_STEPS = 120_000  # about 10 ms; times are for this many
# About 1 ms, because the kernel interrupts a longer loop on a busy machine in every repeat. There,
# two results in a row differed by 0.4 % at the median; with loops of 10 ms, by 20 %.
LOOP_STEPS = 12_000
CALIBRATION_REPEATS = 30


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The unused times of one CPU since the start of the machine."""

    idle_s: float = column("CPU time spent idle or waiting for a disk", "s")
    steal_s: float = column("CPU time that the hypervisor gave to other guests", "s")


@dataclass(frozen=True, slots=True)
class HostReading:
    """The counters of the machine at one instant, since its start; `cpus` has those of each CPU."""

    t_ns: int
    cpus: Mapping[int, CpuTimes]
    pressure_cpu_us: int | None = column("time with a runnable thread waiting for a CPU", "us")
    pressure_memory_us: int | None = column("time with all threads waiting for memory", "us")
    pressure_io_us: int | None = column("time with a thread waiting for a disk", "us")
    runnable: int | None = column("threads running or waiting for a CPU now", "threads")
    switches: int | None = column("context switches")
    swap_ins: int | None = column("pages read back from swap", "pages")
    oom_kills: int | None = column("processes killed because memory was full", "processes")
    quota_periods: int | None = column("periods of the lab's CPU quota", "periods")
    throttled: int | None = column("periods in which the quota stopped the lab", "periods")


def unused_s(before: HostReading, after: HostReading, cpus: Iterable[int]) -> CpuTimes:
    """Return the unused times between two readings, summed over CPUs that are in both.

    The kernel counts idle time exactly and busy time in ticks: with tasks of 1 ms, the busy ticks
    of /proc/stat were 3 % too low, elapsed time minus these 0.5 %.
    """
    pairs = [(before.cpus[cpu], after.cpus[cpu]) for cpu in cpus]
    return CpuTimes(
        sum(end.idle_s - begin.idle_s for begin, end in pairs),
        sum(end.steal_s - begin.steal_s for begin, end in pairs),
    )


def read_host(root: Path = Path("/")) -> HostReading:
    """Read the machine's counters; a missing counter is None, never 0."""
    proc = root / "proc"
    stat, memory = _fields(text_of(proc / "stat")), _fields(text_of(proc / "vmstat"))
    # Next to /proc/stat, because elapsed time minus idle time is the busy time of a CPU.
    t_ns = time.monotonic_ns()
    quota = _fields(next(iter(cgroup_texts("cpu", "cpu.stat", root)), None))
    load = (text_of(proc / "loadavg") or "").split()
    return HostReading(
        t_ns=t_ns,
        cpus={int(m[1]): _cpu_times(stat[m[0]]) for m in map(CPU.fullmatch, stat) if m},
        pressure_cpu_us=_pressure(proc / "pressure/cpu", "some"),
        # `full` only here: for the CPU, the whole machine has zero there (accounting/psi.rst).
        pressure_memory_us=_pressure(proc / "pressure/memory", "full"),
        pressure_io_us=_pressure(proc / "pressure/io", "some"),
        runnable=int(load[3].partition("/")[0]) if load else None,
        switches=_count(stat, "ctxt"),
        swap_ins=_count(memory, "pswpin"),
        oom_kills=_count(memory, "oom_kill"),
        quota_periods=_count(quota, "nr_periods"),
        throttled=_count(quota, "nr_throttled"),
    )


def _cpu_times(ticks: Sequence[str]) -> CpuTimes:
    # Columns idle, iowait and steal of proc(5); a CPU that waits for a disk can run a thread.
    return CpuTimes((int(ticks[3]) + int(ticks[4])) * TICK_S, int(ticks[7]) * TICK_S)


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
    """Time a fixed loop of Python integers thirty times; return the shortest time, in ns.

    The shortest, not the median: interruptions only add time, and steal and foreign CPU have
    separate signals. The shortest time shows how fast this CPU runs Python now, which depends on
    frequency, heat and the load of a sibling thread. On a machine with busy neighbours, the median
    drifted three times as much. The loop has `LOOP_STEPS` steps, and the result is the time of
    `CALIBRATION_STEPS` at that speed.
    """
    shortest_ns = min(_time_of_loop() for _ in range(CALIBRATION_REPEATS))
    return shortest_ns * CALIBRATION_STEPS // LOOP_STEPS


def _time_of_loop() -> int:
    begin_ns = time.monotonic_ns()
    number = 1
    for _ in range(LOOP_STEPS):
        number = (number * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return time.monotonic_ns() - begin_ns


class Sampler:
    """A thread that reads the machine's counters and those of the cluster once a second.

    `parts` returns the counters of the cluster; `stop` raises the exception that `parts` raised.
    The CPU time of the sampler is among the samples, as ``sampler_cpu_s``.
    """

    def __init__(
        self, parts: Callable[[], Iterable[CounterReading]], period_s: float = 1.0
    ) -> None:
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
        readings = [*parts, *_readings("host", host)]
        for number, times in host.cpus.items():
            readings += _readings(f"cpu{number}", times)
        # The time of this thread alone: the rest of the lab does not sample.
        cost_s = time.thread_time_ns() / 1e9
        readings.append(CounterReading("host", "sampler_cpu_s", cost_s, "s"))
        self._samples += [Sample(t_ns=host.t_ns, **reading._asdict()) for reading in readings]


def _readings(source: str, counters: HostReading | CpuTimes) -> Iterator[CounterReading]:
    """Yield the counters that have a value; `t_ns` and `cpus` of a machine are none."""
    for counter in fields(counters):
        value = getattr(counters, counter.name)
        if "unit" in counter.metadata and value is not None:
            yield CounterReading(source, counter.name, float(value), counter.metadata["unit"])
