"""Selects the metrics of a run that belong to a benchmark; one trial gives one sample."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.core.cell import CONDITIONS
from lab.core.model import COUNTED_FLAGS, Status
from lab.history.suite import AXES, Benchmark, benchmarks
from lab.planning import registry
from lab.results.store import Store

AxisValues: TypeAlias = tuple[str, int, int]
"""Backend's label, cores per node, nodes."""
Samples: TypeAlias = Mapping[str, Mapping[AxisValues, "list[float] | None"]]
"""Values of each benchmark's cells, one per trial; None where all trials failed."""

# The columns that assign a trial's metric to a benchmark.
BENCHMARK_KEY = ["workload", "arrival", "rate_hz", "n_planned", "nominal_ns", "size", "metric"]
NO_RATE = -1.0
PROVIDER = r"[a-z][a-z0-9-]*"


def samples_of_run(store: Store) -> pd.DataFrame:
    """Return the metrics that belong to a benchmark, of ordinary trials with one worker per core.

    Returns:
        One row per trial and benchmark: provider, the axes, benchmark, trial_id, value, is_good
        (the value may be used), has_failed.
    """
    trials = last_attempts(store.read("trial"))
    # asv's axes contain neither, so such trials would be mixed with the ordinary ones.
    trials = trials[(trials.workers_per_node == trials.cores_per_node) & (trials.quota_cpus == 0)]
    trials = trials[(trials.drivers == 1) & (trials[CONDITIONS] == "").all(axis=1)]
    # asv's pages do not escape labels, and file names contain the provider.
    is_name = trials.label.str.fullmatch(registry.LABEL) & trials.provider.str.fullmatch(PROVIDER)
    trials = trials[is_name.fillna(value=False)]
    # A calibrated size differs between runs; its nominal duration does not.
    trials = trials.assign(
        size=trials["size"].mask(trials.nominal_ns > 0, 0),
        rate_hz=trials.rate_hz.astype("float64").fillna(NO_RATE),
    )
    metrics = trials.merge(store.read("metric"), on=["trial_id", "attempt"])
    metrics = metrics.merge(_suite(), on=BENCHMARK_KEY)
    # A bound is not a value, and a disturbed trial is in no history (METHOD M23).
    good = (metrics.is_valid == 1) & (metrics.bound == "") & metrics.flag.isin(COUNTED_FLAGS)
    return pd.DataFrame(
        {
            "provider": metrics.provider,
            "backend": metrics.label,
            "cores": metrics.cores_per_node,
            "nodes": metrics.nodes,
            "benchmark": metrics.benchmark,
            "trial_id": metrics.trial_id,
            "value": metrics.value.astype("float64"),
            "is_good": good,
            "has_failed": metrics.status.isin([Status.FAILED, Status.TIMEOUT]),
        }
    )


@cache  # because a workload lookup reads the installed entry points, and there are many runs
def _suite() -> pd.DataFrame:
    return pd.DataFrame([_key_row(b) for b in benchmarks()], columns=[*BENCHMARK_KEY, "benchmark"])


def _key_row(benchmark: Benchmark) -> tuple[object, ...]:
    arrival = benchmark.case.arrival
    rate = float(getattr(arrival, "rate_hz", NO_RATE))
    offered = (benchmark.case.workload, arrival.kind, rate, arrival.n_tasks)
    return (*offered, *benchmark.size, benchmark.metric, benchmark.name)


def samples(table: pd.DataFrame) -> Samples:
    """Group the values of `samples_of_run` by benchmark and cell, ascending.

    A cell without a trial is absent; a cell of which all trials failed is None.
    """
    grouped: dict[str, dict[AxisValues, list[float] | None]] = {}
    keys = ["benchmark", *AXES]
    good = table[table.is_good].sort_values("value")
    for (name, *axes), values in good.groupby(keys)["value"]:
        grouped.setdefault(str(name), {})[_key(axes)] = values.tolist()
    for name, *axes in table.loc[table.has_failed, keys].drop_duplicates().itertuples(index=False):
        grouped.setdefault(str(name), {}).setdefault(_key(axes), None)
    return grouped


def _key(axes: list[object]) -> AxisValues:
    backend, cores, nodes = axes
    return str(backend), int(str(cores)), int(str(nodes))
