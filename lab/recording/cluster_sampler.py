"""Samples a running cluster: at both edges of the window, and once a second in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from lab.core.model import Arrival, Burst, Idle
from lab.core.provider import Cluster
from lab.recording import footprint
from lab.recording.host_counters import Sample

# A burst begins with the window: its first tasks run undisturbed before memory is read.
FIRST_S = 0.5


class Gauges:
    """Reads the counters of one cluster in one trial.

    Memory and wake-ups are read at the edges of every window, and in it only where no latency is
    measured (METHOD M25).
    """

    def __init__(self, cluster: Cluster, arrival: Arrival) -> None:
        self._cluster = cluster
        self._looks_inside = isinstance(arrival, Burst | Idle)
        self._wakeups = footprint.Wakeups()
        self._begun_ns = 0

    def at_the_edge(self) -> list[Sample]:
        """Read all counters now, while no task is in the system."""
        self._begun_ns = t_ns = time.monotonic_ns()
        return [Sample(t_ns, *counter) for counter in [*self._used(), *self._held()]]

    def in_the_window(self) -> list[footprint.Counter]:
        """Read the counters that may be read while tasks run."""
        is_due = time.monotonic_ns() - self._begun_ns > FIRST_S * 1e9
        return [*self._used(), *(self._held() if self._looks_inside and is_due else ())]

    def _used(self) -> Iterator[footprint.Counter]:
        cpu = self._cluster.cpu()
        for role, ns in (
            ("driver", cpu.driver_ns),
            ("services", cpu.services_ns),
            ("workers", cpu.workers_ns),
        ):
            yield role, "cpu_s", ns / 1e9, "s"
        yield from self._cluster.counters()

    def _held(self) -> Iterator[footprint.Counter]:
        roles: Mapping[str, Sequence[int]] = self._cluster.processes()
        yield from footprint.memory(roles)
        yield from self._wakeups.count(roles)
