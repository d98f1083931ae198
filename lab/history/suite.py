"""Which numbers go into the history, under which names: asv's suite as data.

Only costs, because asv knows no number of which more is better. A benchmark is a cell of a preset:
the same tasks, so many of them, offered in the same way, at every commit. Its `version` is raised
by hand when what it measures changes: asv then starts a new curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lab.analysis.metrics.registry import METRICS
from lab.core.model import Burst, Paced, RoundTrip
from lab.planning import registry
from lab.planning.presets import PRESETS, Cell

AXES = ("backend", "cores", "nodes")
VERSION = "1"
TIMEOUT_S = 60
# `publish` has the cells of `standard`, only more often.
MODULES = ("quick", "standard")
# Of each arrival the costs that answer a question; METHOD M31 says why no rate is here.
COSTS: Mapping[str, tuple[str, ...]] = {
    Burst.kind: (
        "makespan_s",
        "worker_s_per_task",
        "cpu_driver_s_per_task",
        "cpu_workers_s_per_task",
        "broker_bytes_per_task",
    ),
    Paced.kind: ("queue_latency_s_p50", "queue_latency_s_p90", "queue_latency_s_p99"),
    RoundTrip.kind: ("round_trip_s_p50", "round_trip_s_p90"),
}
UNITS: Mapping[str, str] = {"s": "seconds", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One cost of one cell of the preset `module`, over the axes `AXES`."""

    module: str
    cell: Cell
    metric: str

    @property
    def group(self) -> str:
        """The class that asv finds it in: ``NoopPaced50``."""
        arrival = self.cell.arrival
        rate = f"{arrival.rate_hz:g}" if isinstance(arrival, Paced) else ""
        return f"{self.cell.workload.capitalize()}{arrival.kind.capitalize()}{rate}"

    @property
    def name(self) -> str:
        """The name that asv gives it: module, class, method."""
        return f"{self.module}.{self.group}.track_{self.metric}"

    @property
    def title(self) -> str:
        """What the page calls it; the workload is in it, for the page shows nothing else."""
        arrival = self.cell.arrival
        rate = f" at {arrival.rate_hz:g}/s" if isinstance(arrival, Paced) else ""
        offered = f"{self.cell.workload} {arrival.kind} of {arrival.n_tasks}{rate}"
        return f"{offered}: {self.metric} ({METRICS[self.metric].about.rstrip('.')})"

    @property
    def unit(self) -> str:
        """The unit, as asv spells it."""
        return UNITS[METRICS[self.metric].unit]

    @property
    def size(self) -> tuple[int, int]:
        """The nominal duration in ns, and where there is none the size: what a trial must have.

        A calibrated size differs from run to run, and is no part of what is asked.
        """
        workload, module = registry.workload(self.cell.workload)
        nominal_ns = int(module.nominal_ns(workload.default_size))
        return nominal_ns, 0 if nominal_ns else int(module.calibrate(workload.default_size))


def benchmarks() -> Iterator[Benchmark]:
    """List every benchmark: the costs of each cell of the presets that has its default size."""
    for module in MODULES:
        for cell in cells(module):
            for metric in COSTS[cell.arrival.kind]:
                yield Benchmark(module, cell, metric)


def cells(module: str) -> list[Cell]:
    """Return a preset's cells that have a cost, each name once, and each for every block."""
    named = {
        Benchmark(module, cell, "").group: replace(cell, once=False)
        for cell in reversed(PRESETS[module].cells)
        if cell.arrival.kind in COSTS and cell.size is None
    }
    return list(reversed(named.values()))
