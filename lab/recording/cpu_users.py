"""Measures which other processes use the CPUs of this machine now."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil

from lab.recording.host_counters import HostReading, read_host, unused_s

WINDOW_S = 1.0
LISTED = 3
# Processes below this share of one CPU are not worth a mention.
SMALLEST = 0.02


@dataclass(frozen=True, slots=True)
class CpuUsers:
    """The use of CPUs by other processes than this one.

    Attributes:
        share: CPU time of others as a share of all CPU time; None if it cannot be read.
        steal: CPU time that the hypervisor gave to other guests, as a share.
        cpus: Number of CPUs that were watched.
        names: The largest users, each with its share of one CPU: ``python3 (pid 7) 93 %``.
    """

    share: float | None
    steal: float | None
    cpus: int
    names: tuple[str, ...]


def watch(cpus: Collection[int], window_s: float = WINDOW_S) -> CpuUsers:
    """Watch the machine for `window_s` seconds while this process sleeps."""
    # The list of all processes is read outside of the two readings of the machine, because
    # reading it uses CPU time itself.
    used_before, before, lab_ns = _used_s(), read_host(), time.process_time_ns()
    time.sleep(window_s)
    after, used_after = read_host(), _used_s()
    lab_s = (time.process_time_ns() - lab_ns) / 1e9
    share, steal = shares(before, after, lab_s, cpus)
    passed_s = (after.t_ns - before.t_ns) / 1e9
    # A kernel thread changes its name: the pid alone identifies a process.
    used = {
        pid: (seconds - used_before.get(pid, ("", 0.0))[1]) / passed_s
        for pid, (_, seconds) in used_after.items()
    }
    largest = sorted(used, key=lambda pid: -used[pid])[:LISTED]
    names = tuple(
        f"{used_after[pid][0]} (pid {pid}) {used[pid] * 100:.0f} %"
        for pid in largest
        if used[pid] > SMALLEST
    )
    return CpuUsers(share, steal, len(cpus), names)


def shares(
    before: HostReading, after: HostReading, lab_s: float, cpus: Collection[int]
) -> tuple[float | None, float | None]:
    """Return the shares of CPU time that other processes used, and that was stolen."""
    readable = before.cpus.keys() & after.cpus.keys() & {*cpus}
    capacity_s = len(readable) * (after.t_ns - before.t_ns) / 1e9
    if not capacity_s:
        return None, None
    unused = unused_s(before, after, readable)
    # The counters have the resolution of a tick, so that a quiet machine may be below zero.
    other_s = max(0.0, capacity_s - unused.idle_s - unused.steal_s - lab_s)
    return other_s / capacity_s, unused.steal_s / capacity_s


def _used_s() -> dict[int, tuple[str, float]]:
    """Return the name and the CPU time of every other process, by pid."""
    used = {}
    for process in psutil.process_iter():
        # A process may end while the list is read.
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid():
                times = process.cpu_times()
                used[process.pid] = process.name(), times.user + times.system
    return used
