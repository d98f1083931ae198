"""From a run's numbers to the samples of each benchmark: a sample is a trial."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import pandas as pd

from lab.analysis.metrics.registry import last_attempts
from lab.core.model import Flag, Status
from lab.history.suite import AXES, Benchmark, benchmarks
from lab.planning import registry
from lab.results.store import Store

Key: TypeAlias = tuple[str, int, int]
"""Backend's label, cores of a node, nodes."""
Samples: TypeAlias = Mapping[str, Mapping[Key, "list[float] | None"]]
"""Values of each benchmark's cells, a value a trial; None where all of them failed."""

# What makes a trial one of a benchmark's.
ASKED = ["workload", "arrival", "rate_hz", "n_planned", "nominal_ns", "size", "metric"]
NO_RATE = -1.0
PROVIDER = r"[a-z][a-z0-9-]*"


def numbers(store: Store) -> pd.DataFrame:
    """Return a run's numbers that belong to a benchmark, those with one worker a core.

    Returns:
        A row a trial and benchmark: provider, the axes, benchmark, trial_id, value, is_good (it may
        be used), has_failed.
    """
    trials = last_attempts(store.read("trial"))
    trials = trials[(trials.workers_per_node == trials.cores_per_node) & (trials.quota_cpus == 0)]
    # asv's pages show them as they are, and its files are named after the provider.
    is_name = trials.label.str.fullmatch(registry.LABEL) & trials.provider.str.fullmatch(PROVIDER)
    trials = trials[is_name.fillna(value=False)]
    # A calibrated size differs from run to run; the duration it stands for does not.
    trials = trials.assign(
        size=trials["size"].mask(trials.nominal_ns > 0, 0),
        rate_hz=trials.rate_hz.astype("float64").fillna(NO_RATE),
    )
    found = trials.merge(store.read("metric"), on=["trial_id", "attempt"]).merge(_suite(), on=ASKED)
    good = (found.is_valid == 1) & (found.bound == "") & (found.flag != Flag.INVALID)
    return pd.DataFrame(
        {
            "provider": found.provider,
            "backend": found.label,
            "cores": found.cores_per_node,
            "nodes": found.nodes,
            "benchmark": found.benchmark,
            "trial_id": found.trial_id,
            "value": found.value.astype("float64"),
            "is_good": good,
            "has_failed": found.status.isin([Status.FAILED, Status.TIMEOUT]),
        }
    )


@cache  # to look a workload up reads what is installed: too dear for each of a hundred runs
def _suite() -> pd.DataFrame:
    return pd.DataFrame([_asked(b) for b in benchmarks()], columns=[*ASKED, "benchmark"])


def _asked(benchmark: Benchmark) -> tuple[object, ...]:
    arrival = benchmark.cell.arrival
    rate = float(getattr(arrival, "rate_hz", NO_RATE))
    offered = (benchmark.cell.workload, arrival.kind, rate, arrival.n_tasks)
    return (*offered, *benchmark.size, benchmark.metric, benchmark.name)


def samples(table: pd.DataFrame) -> Samples:
    """Gather `numbers` by benchmark and cell, sorted; a cell that nobody measured is not there."""
    found: dict[str, dict[Key, list[float] | None]] = {}
    keys = ["benchmark", *AXES]
    good = table[table.is_good].sort_values("value")
    for (name, *axes), values in good.groupby(keys)["value"]:
        found.setdefault(str(name), {})[_key(axes)] = values.tolist()
    for name, *axes in table.loc[table.has_failed, keys].drop_duplicates().itertuples(index=False):
        found.setdefault(str(name), {}).setdefault(_key(axes), None)
    return found


def _key(axes: list[object]) -> Key:
    backend, cores, nodes = axes
    return str(backend), int(str(cores)), int(str(nodes))
