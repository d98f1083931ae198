"""Judges the clocks and the network of a trial over several machines, from the driver's samples.

The bound of an instant is that of the reading of its node's clock (METHOD M14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from lab.core.model import Flag
from lab.planning.phases import Phase
from lab.recording import node_samples
from lab.recording.node_clock import WANDER_PPM, NodeClock, OffsetReading
from lab.recording.sample import Sample
from lab.validation.clock_bounds import BoundedDuration, clock_issues
from lab.validation.issue import Issue


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """The clocks and the network of the nodes, as far as they are not those of the driver.

    Attributes:
        bounds_ns: The largest error of the start of each row of `tasks`, ns.
        columns: Those of the trial's row.
        issues: The problems of the clocks, each with its flag.
    """

    bounds_ns: pd.Series
    columns: Mapping[str, Any]
    issues: Sequence[Issue]


def node_network(tasks: pd.DataFrame, samples: Sequence[Sample]) -> NodeNetwork:
    """Judge the samples of a trial.

    Args:
        tasks: `TaskRow` columns; only rows of the window are judged.
        samples: Those of the driver; nodes on the driver's clock have none.
    """
    clocks = {
        node: NodeClock(map(_on_drivers_clock, taken))
        for node, taken in node_samples.readings(samples).items()
        if len(taken) > 1
    }
    starts_ns, ends_ns = (_bounds(clocks, tasks, name) for name in ("t3_ns", "t4_ns"))
    pings = [sample.value for sample in samples if sample.metric == node_samples.PING]
    rates = [sample.value for sample in samples if sample.metric == node_samples.BANDWIDTH]
    if not clocks or not pings:
        return NodeNetwork(starts_ns, {}, ())
    has_started = (tasks["phase"] == Phase.MEASURE) & tasks["t3_ns"].notna()
    largest_ns = pd.concat([starts_ns[has_started], ends_ns[has_started]]).max()
    columns = {
        "clock_bound_ns": int(largest_ns) if has_started.any() else None,
        "ping_min_ns": round(min(pings)),
        "ping_median_ns": round(median(pings)),
        "bandwidth_bytes_per_s": min(rates, default=None),
    }
    waits_ns = (tasks["t3_ns"] - tasks["t0_ns"])[has_started]
    pairs = zip(waits_ns, starts_ns[has_started], strict=True)
    issues = clock_issues([BoundedDuration(int(wait), int(bound)) for wait, bound in pairs])
    return NodeNetwork(starts_ns, columns, [*issues, *_wandering(clocks)])


def _on_drivers_clock(reading: OffsetReading) -> OffsetReading:
    # The ledger has the driver's instants, and the bound is the same on both clocks.
    return OffsetReading(reading.driver_ns, reading.node_ns, reading.error_ns)


def _bounds(clocks: Mapping[int, NodeClock], tasks: pd.DataFrame, name: str) -> pd.Series:
    """Return the bound of an instant of each row; 0 without one, or on the driver's clock."""
    bounds_ns = pd.Series(0, tasks.index, dtype="int64")
    for node, clock in clocks.items():
        instants = tasks.loc[(tasks["node"] == node).fillna(value=False), name].dropna()
        of_node = [clock.bound_ns(int(instant)) for instant in instants]
        bounds_ns[instants.index] = np.array(of_node, dtype="int64")
    return bounds_ns


def _wandering(clocks: Mapping[int, NodeClock]) -> list[Issue]:
    return [
        Issue(
            Flag.INVALID,
            f"the clock of node {node} changed its rate by more than {WANDER_PPM} ppm: "
            f"a reading is {clock.excess_ns() / 1e6:.3f} ms beyond its bound",
        )
        for node, clock in clocks.items()
        if clock.excess_ns()
    ]
