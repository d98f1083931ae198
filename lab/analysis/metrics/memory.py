"""Computes the memory of workers: PSS over the workers' process tree, per worker slot.

If the workers are threads or coroutines of the driver, the value is the driver's memory, and its
`method` states this. Page cache that no process maps is never included.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import scipy

from lab.analysis.metrics.metric import Metric, MetricFunction, has_services
from lab.analysis.metrics.samples import (
    ALL,
    OFFERED,
    host_of_workers,
    in_window,
    known,
    of_samples,
    readings,
)
from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Burst
from lab.recording.server_stats import COMMANDS
from lab.results.schema import TrialRow

# A median of fewer readings does not leave out an extreme one.
STEADY_FLOOR = 3
# With fewer readings, one of them determines the slope.
LEAK_FLOOR = 5


def memory_per_worker(state: str, metric: str = "pss_bytes") -> MetricFunction:
    """Return the metric function of one state: bytes per worker slot.

    `idle`: the last reading before the window.
    `steady`: the median of the readings in the window, one per second.
    `peak`: the largest of all readings; it misses memory that was freed between two readings.
    `drained`: the first reading after the window.
    """

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        role, whose = host_of_workers(samples)
        n, value, how = _in_state(state, trial, readings(trial, samples, role, metric))
        kind = metric.partition("_")[0].upper()
        return Value(value / trial.workers, "", n, f"{how}{kind} {whose} / {trial.workers} slots")

    return measure


def _in_state(state: str, trial: TrialRow, table: pd.DataFrame) -> tuple[int, float, str]:
    """Return the number of readings of a state, their value, and the statistic used, as text."""
    values, t_ns = table["value"].astype("float64"), table["t_ns"]
    if state == "peak":
        return len(values), values.max(), f"largest of {len(values)} readings: "
    if state == "steady":
        values = in_window(trial, table)["value"].astype("float64")
        if (n := len(values)) < STEADY_FLOOR:
            raise RefusedError(f"The window has {n} readings; at least {STEADY_FLOOR} are needed.")
        return n, values.median(), f"median of {n} readings: "
    at = values[t_ns < trial.t_begin_ns] if state == "idle" else values[t_ns > trial.t_end_ns]
    if at.empty:
        raise RefusedError(f"No reading of memory in the state {state!r}.")
    return 1, at.iloc[-1 if state == "idle" else 0], ""


def leak(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the Theil-Sen slope of the workers' anonymous PSS over finished tasks, bytes per task.

    Only anonymous memory counts, because the mapped ledger file grows by 64 bytes per task.
    """
    role, whose = host_of_workers(samples)
    within = in_window(trial, readings(trial, samples, role, "anonymous_bytes"))
    if (n := within["n_done"].nunique()) < LEAK_FLOOR:
        raise RefusedError(f"A slope needs {LEAK_FLOOR} readings in the window; there are {n}.")
    # Over tasks and not over time, because a slower system would seem to leak less.
    fit = scipy.stats.theilslopes(within["value"].to_numpy("float64"), within["n_done"].to_numpy())
    interval = f"95 % interval {fit.low_slope:.3g} to {fit.high_slope:.3g}"
    method = f"Theil-Sen of {len(within)} readings of anonymous PSS {whose}; {interval}"
    return Value(float(fit.slope), "", len(within), method)


def of_containers(metric: str) -> MetricFunction:
    """Return the metric function: peak memory of the workers' control groups, bytes per slot."""

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        table = samples[samples["metric"] == metric]
        nodes = table["source"].str.startswith("container:node")
        chosen = table[nodes] if nodes.any() else table[table["source"] == "container:driver"]
        # Summed at each instant: nodes peak at different times, and no moment had the sum of peaks.
        sums = known(trial, chosen, metric).groupby("t_ns")["value"].sum()
        whose = "nodes" if nodes.any() else "driver, which contains the workers,"
        method = f"largest of {len(sums)} readings of the containers of {whose} / {trial.workers}"
        return Value(float(sums.max()) / trial.workers, "", len(sums), f"{method} slots")

    return measure


def of_servers(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the peak memory of the servers by their own statistics, in bytes."""
    servers = samples[samples["source"].isin(COMMANDS)]
    # A server's own peak also covers the time between two readings, but not all servers have one.
    peaks = servers[servers["metric"] == "memory_peak_bytes"]
    table = peaks if len(peaks) else servers[servers["metric"] == "memory_bytes"]
    most = known(trial, table, "memory of the servers").groupby("source")["value"].max()
    how = "the servers' own peak" if len(peaks) else f"largest of {len(table)} readings"
    return Value(float(most.sum()), "", len(table), f"{how}: {', '.join(most.index)}")


def metrics() -> Iterator[Metric]:
    """Yield the metrics of memory, all in bytes."""
    # Reading locks a process's memory map, which would delay paced tasks and round trips: these
    # are read before and after the window only (METHOD M25).
    burst = (Burst.kind,)
    slot = "per worker slot"
    for state, when, arrivals in (
        ("idle", "before the window, when all workers are ready", ALL),
        ("steady", "in the window (median)", burst),
        ("peak", "in the whole trial (largest reading)", burst),
        ("drained", "after the last task has finished", OFFERED),
    ):
        name, about = f"memory_bytes_per_worker_{state}", f"Memory (PSS) {slot} {when}."
        yield of_samples(name, "bytes", about, memory_per_worker(state), arrivals)
    resident = memory_per_worker("idle", "rss_bytes")
    about = f"RSS {slot} before the window; pages that forks share count once for each."
    yield of_samples("rss_bytes_per_worker_idle", "bytes", about, resident)
    about = "Growth of the workers' anonymous memory per task."
    yield of_samples("leak_bytes_per_task", "bytes", about, leak, burst)
    for kind, title in (
        ("anonymous", "Peak anonymous memory of the workers' containers"),
        ("working_set", "Peak anonymous memory and active file pages of the workers' containers"),
    ):
        name, measure = f"{kind}_bytes_per_worker_peak", of_containers(f"{kind}_bytes")
        yield of_samples(name, "bytes", f"{title} {slot}.", measure, ALL, _has_containers)
    about = "Peak memory of the servers, by their own statistics."
    yield of_samples("broker_memory_bytes_peak", "bytes", about, of_servers, ALL, has_services)


def _has_containers(trial: TrialRow) -> bool:
    return trial.images != ""
