"""Lists the metrics that go into the history, and their asv names: asv's suite as data.

The suite holds costs only, because asv treats every increase as a regression. A benchmark is a
cell of a preset: the same tasks, in the same number, offered in the same way at every commit.
Raise `VERSION` by hand when a change of the code changes the meaning of the numbers: asv then
starts a new series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lab.analysis.metrics.registry import METRICS
from lab.core.arrivals import FORMER_KINDS
from lab.core.model import Burst, Paced, RoundTrip
from lab.planning import registry
from lab.planning.presets import PRESETS, Case
from lab.results import convert_1

AXES = ("backend", "cores", "nodes")
VERSION = "1"
TIMEOUT_S = 60
TRACK = ".track_"
# `publish` is absent: it has the cells of `standard`, with more blocks.
MODULES = ("quick", "standard")
# The costs of each arrival. METHOD M31 explains why there is no rate.
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
    """One metric of one cell of the preset `module`, over the axes `AXES`."""

    module: str
    cell: Case
    metric: str

    @property
    def group(self) -> str:
        """The name of its class in asv: ``NoopPaced50``."""
        arrival = self.cell.arrival
        rate = f"{arrival.rate_hz:g}" if isinstance(arrival, Paced) else ""
        # asv starts a new series for a new name.
        kind = FORMER_KINDS.get(arrival.kind, arrival.kind)
        return f"{self.cell.workload.capitalize()}{kind.capitalize()}{rate}"

    @property
    def name(self) -> str:
        """Its full name in asv: module, class, method."""
        return f"{self.module}.{self.group}{TRACK}{self.metric}"

    @property
    def title(self) -> str:
        """Its heading on asv's page, which shows the workload nowhere else."""
        arrival = self.cell.arrival
        rate = f" at {arrival.rate_hz:g}/s" if isinstance(arrival, Paced) else ""
        offered = f"{self.cell.workload} {arrival.kind} of {arrival.n_tasks}{rate}"
        return f"{offered}: {self.metric} ({METRICS[self.metric].about.rstrip('.')})"

    @property
    def unit(self) -> str:
        """The unit, in asv's spelling."""
        return UNITS[METRICS[self.metric].unit]

    @property
    def size(self) -> tuple[int, int]:
        """The nominal duration in ns and the size of its trials; one of the two is 0.

        A calibrated size differs between runs, so that a duration replaces it.
        """
        workload, module = registry.workload(self.cell.workload)
        nominal_ns = int(module.nominal_ns(workload.default_size))
        return nominal_ns, 0 if nominal_ns else int(module.calibrate(workload.default_size))


def present_name(name: str) -> str:
    """Return a benchmark's name with the present name of its metric, so that its series goes on."""
    group, track, metric = name.rpartition(TRACK)
    return f"{group}{track}{convert_1.METRICS.get(metric, metric)}"


def benchmarks() -> Iterator[Benchmark]:
    """Yield every benchmark: the costs of each cell with a default size, of the presets."""
    for module in MODULES:
        for cell in cells(module):
            for metric in COSTS[cell.arrival.kind]:
                yield Benchmark(module, cell, metric)


def cells(module: str) -> list[Case]:
    """Return a preset's cells that have a benchmark, one per name, each to run in every block."""
    # Every block, because asv's test needs several trials of a commit. Of cells with one name the
    # first counts: a later key of a dictionary replaces an earlier one, so the order is reversed.
    named = {
        Benchmark(module, cell, "").group: replace(cell, once=False)
        for cell in reversed(PRESETS[module].cells)
        if cell.arrival.kind in COSTS and cell.size is None
    }
    return list(reversed(named.values()))
