"""Lists the metrics that go into the history, and their asv names: asv's suite as data.

The suite holds costs only, because asv treats every increase as a regression. A benchmark is a
case of a preset: the same tasks, in the same number, offered in the same way at every commit.
Raise the version of a preset by hand when a change of the code changes the meaning of its numbers:
asv then starts a new series.
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
TIMEOUT_S = 60
TRACK = ".track_"
# The version of each preset's benchmarks. `publish` is absent: it has the cases of `standard`, with
# more blocks. Version 2 of `quick` has bursts of more tasks.
VERSIONS: Mapping[str, str] = {"quick": "2", "standard": "1"}
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
    """One metric of one case of the preset `module`, over the axes `AXES`."""

    module: str
    case: Case
    metric: str

    @property
    def group(self) -> str:
        """The name of its class in asv: ``NoopPaced50``."""
        arrival = self.case.arrival
        rate = f"{arrival.rate_hz:g}" if isinstance(arrival, Paced) else ""
        # asv starts a new series for a new name.
        kind = FORMER_KINDS.get(arrival.kind, arrival.kind)
        return f"{self.case.workload.capitalize()}{kind.capitalize()}{rate}"

    @property
    def name(self) -> str:
        """Its full name in asv: module, class, method."""
        return f"{self.module}.{self.group}{TRACK}{self.metric}"

    @property
    def title(self) -> str:
        """Its heading on asv's page, which shows the workload nowhere else."""
        arrival = self.case.arrival
        rate = f" at {arrival.rate_hz:g}/s" if isinstance(arrival, Paced) else ""
        offered = f"{self.case.workload} {arrival.kind} of {arrival.n_tasks}{rate}"
        return f"{offered}: {self.metric} ({METRICS[self.metric].about.rstrip('.')})"

    @property
    def unit(self) -> str:
        """The unit, in asv's spelling."""
        return UNITS[METRICS[self.metric].unit]

    @property
    def version(self) -> str:
        """Its version in asv, which compares results of one version only."""
        return VERSIONS[self.module]

    @property
    def size(self) -> tuple[int, int]:
        """The nominal duration in ns and the size of its trials; one of the two is 0.

        A calibrated size differs between runs, so that a duration replaces it.
        """
        workload, module = registry.workload(self.case.workload)
        nominal_ns = int(module.nominal_ns(workload.default_size))
        return nominal_ns, 0 if nominal_ns else int(module.calibrate(workload.default_size))


def present_name(name: str) -> str:
    """Return a benchmark's name with the present name of its metric, so that its series goes on."""
    group, track, metric = name.rpartition(TRACK)
    return f"{group}{track}{convert_1.METRICS.get(metric, metric)}"


def benchmarks() -> Iterator[Benchmark]:
    """Yield every benchmark: the costs of each case with a default size, of the presets."""
    for module in VERSIONS:
        for case in cases(module):
            for metric in COSTS[case.arrival.kind]:
                yield Benchmark(module, case, metric)


def cases(module: str) -> list[Case]:
    """Return a preset's cases that have a benchmark, one per name, each to run in every block."""
    # Every block, because asv's test needs several trials of a commit. Of cases with one name the
    # first counts: a later key of a dictionary replaces an earlier one, so the order is reversed.
    named = {
        Benchmark(module, case, "").group: replace(case, blocks=None)
        for case in reversed(PRESETS[module].cases)
        if case.arrival.kind in COSTS and case.size is None
    }
    return list(reversed(named.values()))
