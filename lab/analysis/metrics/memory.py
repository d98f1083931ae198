"""How much memory a worker holds: PSS over the workers' process tree, for each worker slot.

Where workers have no process of their own the driver's is told, in which they live, and the method
says so. Page cache that no process maps is never in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import scipy

from lab.analysis.metrics.samples import (
    ALL,
    OFFERED,
    Measure,
    Number,
    host_of_workers,
    in_window,
    known,
    readings,
)
from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Burst
from lab.recording.server_stats import COMMANDS
from lab.results.schema import TrialRow

STEADY_FLOOR = 3
# A slope of fewer readings is made by one of them.
LEAK_FLOOR = 5


def held(state: str, metric: str = "pss_bytes") -> Measure:
    """Make the measure: bytes a worker slot, idle before the window, in it, at most, or after it.

    Steady is the median of the readings in the window, one a second. Peak is the largest of all
    readings: what was taken and given back between two of them is not in it.
    """

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        role, whose = host_of_workers(samples)
        found = readings(trial, samples, role, metric)
        n, value, how = _in_state(state, trial, found)
        kind = metric.partition("_")[0].upper()
        return Value(value / trial.workers, "", n, f"{how}{kind} {whose} / {trial.workers} slots")

    return measure


def _in_state(state: str, trial: TrialRow, found: pd.DataFrame) -> tuple[int, float, str]:
    """Return how many readings there are of a state, what they say, and how they say it."""
    values, t_ns = found["value"].astype("float64"), found["t_ns"]
    if state == "peak":
        return len(values), values.max(), f"largest of {len(values)} readings: "
    if state == "steady":
        values = in_window(trial, found)["value"].astype("float64")
        if (n := len(values)) < STEADY_FLOOR:
            raise RefusedError(f"{n} readings in the window, of {STEADY_FLOOR} that it takes.")
        return n, values.median(), f"median of {n} readings: "
    at = values[t_ns < trial.t_begin_ns] if state == "idle" else values[t_ns > trial.t_end_ns]
    if at.empty:
        raise RefusedError(f"No reading of memory in the state {state!r}.")
    return 1, at.iloc[-1 if state == "idle" else 0], ""


def leak(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the Theil-Sen slope of the workers' anonymous PSS over tasks finished, bytes a task.

    Anonymous, because the ledger is a file that grows by 64 bytes a task, and no leak of theirs.
    """
    role, whose = host_of_workers(samples)
    within = in_window(trial, readings(trial, samples, role, "anonymous_bytes"))
    if (n := within["n_done"].nunique()) < LEAK_FLOOR:
        raise RefusedError(f"A slope takes {LEAK_FLOOR} readings in the window; there are {n}.")
    fit = scipy.stats.theilslopes(within["value"].to_numpy("float64"), within["n_done"].to_numpy())
    interval = f"95 % interval {fit.low_slope:.3g} to {fit.high_slope:.3g}"
    method = f"Theil-Sen of {len(within)} readings of anonymous PSS {whose}; {interval}"
    return Value(float(fit.slope), "", len(within), method)


def of_containers(metric: str) -> Measure:
    """Make the measure: the most that the workers' control groups held, bytes a worker slot."""

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        own = samples[samples["metric"] == metric]
        nodes = own["source"].str.startswith("container:node")
        chosen = own[nodes] if nodes.any() else own[own["source"] == "container:driver"]
        sums = known(trial, chosen, metric).groupby("t_ns")["value"].sum()
        whose = "nodes" if nodes.any() else "driver, where the workers live,"
        method = f"largest of {len(sums)} readings of the containers of {whose} / {trial.workers}"
        return Value(float(sums.max()) / trial.workers, "", len(sums), f"{method} slots")

    return measure


def of_servers(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the most memory that the servers held, by their own count, in bytes."""
    own = samples[samples["source"].isin(COMMANDS)]
    peaks = own[own["metric"] == "memory_peak_bytes"]
    told = peaks if len(peaks) else own[own["metric"] == "memory_bytes"]
    most = known(trial, told, "how much memory the servers hold").groupby("source")["value"].max()
    how = "the peak by their own count" if len(peaks) else f"largest of {len(told)} readings"
    return Value(float(most.sum()), "", len(told), f"{how}: {', '.join(most.index)}")


def numbers() -> Iterator[Number]:
    """Yield the numbers of memory, all in bytes."""
    burst = (Burst.kind,)
    slot = "a worker slot"
    for state, when, arrivals in (
        ("idle", "before the window, every worker proven", ALL),
        ("steady", "in the window, the median", burst),
        ("peak", "at most", burst),
        ("drained", "after the last task has finished", OFFERED),
    ):
        about = f"Memory (PSS) {slot} {when}."
        yield Number(f"memory_bytes_per_worker_{state}", "bytes", about, held(state), arrivals)
    about = f"RSS {slot} before the window: it counts what forks share once for each."
    yield Number("rss_bytes_per_worker_idle", "bytes", about, held("idle", "rss_bytes"))
    about = "Growth of the workers' anonymous memory with each task."
    yield Number("leak_bytes_per_task", "bytes", about, leak, burst)
    for name, what in (
        ("anonymous", "Anonymous memory of the workers' containers"),
        ("working_set", "The same and the file pages in use, of the workers' containers,"),
    ):
        about, measure = f"{what} {slot} at most.", of_containers(f"{name}_bytes")
        yield Number(f"{name}_bytes_per_worker_peak", "bytes", about, measure, ALL, "containers")
    about = "Most memory of the servers, by their own count."
    yield Number("broker_memory_bytes_peak", "bytes", about, of_servers, ALL, "services")
