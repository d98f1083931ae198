"""Which numbers go into the history, under which names: asv's suite as data.

Only costs, because asv knows no number of which more is better; and only what every campaign of a
preset measures, because a curve needs the same number at each commit. A benchmark's `version` is
raised by hand when what it measures changes: asv then starts a new curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.metrics import METRICS
from lab.model import Arrival, Paced
from lab.presets import PRESETS

AXES = ("backend", "cores", "nodes")
VERSION = "1"
# Of each arrival the costs that answer a question; METHOD M31 says why no rate is here.
COSTS: Mapping[str, tuple[str, ...]] = {
    "burst": ("worker_s_per_task", "cpu_driver_s_per_task", "cpu_workers_s_per_task"),
    "paced": ("queue_latency_s_p50", "queue_latency_s_p90", "queue_latency_s_p99"),
    "roundtrip": ("round_trip_s_p50", "round_trip_s_p90"),
}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One number of one workload, offered in one way, over the axes `AXES`."""

    workload: str
    arrival: Arrival
    metric: str

    @property
    def group(self) -> str:
        """The class that asv finds it in: ``NoopPaced50``."""
        rate = f"{self.arrival.rate_hz:g}" if isinstance(self.arrival, Paced) else ""
        return f"{self.workload.capitalize()}{self.arrival.kind.capitalize()}{rate}"

    @property
    def name(self) -> str:
        """The name that asv gives it: module, class, method."""
        return f"costs.{self.group}.track_{self.metric}"

    @property
    def title(self) -> str:
        """What the page calls it; the workload is in it, for the page shows nothing else."""
        rate = f" at {self.arrival.rate_hz:g}/s" if isinstance(self.arrival, Paced) else ""
        what = METRICS[self.metric].about.rstrip(".")
        return f"{self.workload} {self.arrival.kind}{rate}: {self.metric} ({what})"


def benchmarks() -> Iterator[Benchmark]:
    """List every benchmark: the costs of each cell of the presets, each once."""
    seen = set()
    for preset in PRESETS.values():
        for cell in preset.cells:
            for metric in COSTS.get(cell.arrival.kind, ()):
                benchmark = Benchmark(cell.workload, cell.arrival, metric)
                if cell.size is None and benchmark.name not in seen:
                    seen.add(benchmark.name)
                    yield benchmark
