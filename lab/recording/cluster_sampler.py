"""Samples a running cluster: at both edges of the window, and once a second in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.core.model import Arrival, Burst, Idle
from lab.core.provider import Cluster, CounterReading
from lab.host.procfs import text_of
from lab.recording.sample import Sample

PROC = Path("/proc")
Roles = Mapping[str, Sequence[int]]
"""Role (driver, services, workers) -> its process ids."""
# Name in smaps_rollup (kernel's Documentation/filesystems/proc.rst) -> metric of the lab.
FIELDS = {"Pss": "pss_bytes", "Pss_Anon": "anonymous_bytes", "Rss": "rss_bytes"}


def memory(roles: Roles) -> Iterator[CounterReading]:
    """Sum PSS, its anonymous part and RSS over the processes of each role, and count the processes.

    A role gets no sums if one of its processes is not readable. Reading takes the lock of the
    process's memory map, so it is done once a second and never while latencies are measured.
    """
    for role, pids in roles.items():
        texts = [text for pid in pids if (text := _rollup(pid)) != ""]
        yield CounterReading(role, "processes", float(len(texts)), "1")
        # A sum without one process would be too small, and nothing in it would show that.
        if texts and None not in texts:
            rollups = [_bytes_of(text or "") for text in texts]
            for name, metric in FIELDS.items():
                # Older kernels have no Pss_Anon.
                if all(name in rollup for rollup in rollups):
                    total = float(sum(rollup[name] for rollup in rollups))
                    yield CounterReading(role, metric, total, "bytes")


def _rollup(pid: int) -> str | None:
    """Read the rollup of a process; empty if it has ended, None if it is not readable."""
    try:
        return (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # The file of a live process is missing too, if the kernel has no smaps_rollup.
        return "" if not (PROC / str(pid)).exists() or _has_ended(pid) else None
    except OSError:
        return None


def _has_ended(pid: int) -> bool:
    # A zombie has no memory, and reading its rollup fails.
    return "\nState:\tZ" in (text_of(PROC / str(pid) / "status") or "\nState:\tZ")


def _bytes_of(text: str) -> dict[str, int]:
    # The first line is the range of addresses, and sizes are in kB (proc.rst).
    lines = (line.split() for line in text.splitlines()[1:])
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines}


class Wakeups:
    """Counts the voluntary context switches of the threads of each role.

    Each is followed by one wake-up. The kernel's count of a thread is gone when the thread ends, so
    the last count read is used from then on.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, int, int], int] = {}
        self._last: dict[tuple[str, int, int], int] = {}

    def count(self, roles: Roles) -> Iterator[CounterReading]:
        """Yield for each role the total of wake-ups since the first call."""
        now = {
            (role, pid, thread): n
            for role, pids in roles.items()
            for pid in pids
            for thread, n in _switches(pid)
        }
        self._before = self._before or now
        self._last |= now
        for role in roles:
            counts = {key: n for key, n in self._last.items() if key[0] == role}
            wakeups = sum(n - self._before.get(key, 0) for key, n in counts.items())
            yield CounterReading(role, "wakeups", float(wakeups), "1")


def _switches(pid: int) -> Iterable[tuple[int, int]]:
    # The process may end between the reading of its id and that of its threads.
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            for line in (text_of(thread / "status") or "").splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    yield int(thread.name), int(line.split()[1])


# A burst begins with the window: its first tasks run undisturbed before memory is read.
FIRST_S = 0.5


class ClusterSampler:
    """Reads the counters of one cluster in one trial.

    Memory and wake-ups are read at the edges of every window, and in it only where no latency is
    measured (METHOD M25).
    """

    def __init__(self, cluster: Cluster, arrival: Arrival) -> None:
        self._cluster = cluster
        self._looks_inside = isinstance(arrival, Burst | Idle)
        self._wakeups = Wakeups()
        self._begun_ns = 0

    def at_the_edge(self) -> list[Sample]:
        """Read all counters now, while no task is in the system."""
        self._begun_ns = t_ns = time.monotonic_ns()
        roles = self._cluster.processes()
        reads = (*self._used(roles), *self._held(roles))
        return [Sample(t_ns=t_ns, **read._asdict()) for read in reads]

    def in_the_window(self) -> list[CounterReading]:
        """Read the counters that may be read while tasks run."""
        is_due = time.monotonic_ns() - self._begun_ns > FIRST_S * 1e9
        roles = self._cluster.processes()
        return [*self._used(roles), *(self._held(roles) if self._looks_inside and is_due else ())]

    def _used(self, roles: Roles) -> Iterator[CounterReading]:
        cpu = self._cluster.cpu(roles)
        for role, ns in (
            ("driver", cpu.driver_ns),
            ("services", cpu.services_ns),
            ("workers", cpu.workers_ns),
        ):
            yield CounterReading(role, "cpu_s", ns / 1e9, "s")
        yield from self._cluster.counters()

    def _held(self, roles: Roles) -> Iterator[CounterReading]:
        yield from memory(roles)
        yield from self._wakeups.count(roles)
