"""Tests the columns and flags of a trial over several machines, from its tables."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pandas as pd
import pytest

from lab.core.model import Flag
from lab.recording import node_samples
from lab.recording.node_clock import NodeClock, offset_reading
from lab.recording.sample import Sample
from lab.validation.checker import negative_durations
from lab.validation.node_network import node_network
from tests.factories.skewed_clocks import (
    BEGIN_NS,
    END_NS,
    HOUR_NS,
    READ_AT_NS,
    SkewedClock,
    exchanges,
)

MS = 1_000_000
NODES = (SkewedClock(5 * HOUR_NS, 50.0), SkewedClock(-3 * HOUR_NS, -50.0))


def samples_of(clocks: Sequence[SkewedClock] = NODES) -> list[Sample]:
    """Return the samples of a trial whose driver has read these clocks."""
    samples, rng = list[Sample](), random.Random(1)
    for node, clock in enumerate(clocks):
        for at_ns in READ_AT_NS:
            taken = exchanges(clock, at_ns, rng)
            samples += node_samples.of_reading(node, taken, offset_reading(taken))
        samples.append(node_samples.of_bandwidth(node, END_NS, 1e8 / (node + 1)))
    return samples


def tasks_of(wait_ns: int, nodes: int = 2, n: int = 20) -> pd.DataFrame:
    """Return a window of tasks that wait as long, and one task that has not started."""
    t0_ns = [BEGIN_NS + i * 100 * MS for i in range(n)]
    rows = pd.DataFrame(
        {
            "phase": "measure",
            "t0_ns": [*t0_ns, END_NS],
            "t1_ns": [*t0_ns, END_NS],
            "t2_ns": [*t0_ns, END_NS],
            "t3_ns": [*(t + wait_ns for t in t0_ns), None],
            "t4_ns": [*(t + wait_ns + MS for t in t0_ns), None],
            "node": [*(i % nodes for i in range(n)), None],
        }
    )
    integers = ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "node"]
    return rows.astype(dict.fromkeys(integers, "Int64"))


def test_each_start_has_the_bound_of_its_nodes_clock() -> None:
    """The driver's instants have the bounds that the node's have; the largest is a column."""
    tasks = tasks_of(30 * MS)
    network = node_network(tasks, samples_of())
    clocks = [NodeClock(taken) for taken in node_samples.readings(samples_of()).values()]
    ends_ns = []
    started = tasks.iloc[:-1]
    rows = zip(started.node, started.t3_ns, started.t4_ns, network.bounds_ns, strict=False)
    for node, t3_ns, t4_ns, bound_ns in rows:
        clock, skewed = clocks[node], NODES[node]
        assert bound_ns == pytest.approx(clock.bound_ns(skewed.at(t3_ns)), abs=50)
        ends_ns.append(clock.bound_ns(skewed.at(t4_ns)))
    assert network.bounds_ns.iloc[-1] == 0
    largest_ns = max(*ends_ns, *network.bounds_ns)
    assert network.columns["clock_bound_ns"] == pytest.approx(largest_ns, abs=50)
    assert 80_000 <= network.columns["ping_min_ns"] < network.columns["ping_median_ns"] < MS
    assert network.columns["bandwidth_bytes_per_s"] == 5e7
    assert network.issues == []


@pytest.mark.parametrize(
    ("wait_ns", "flags"),
    [(30 * MS, []), (MS, [Flag.DISTURBED]), (-MS, [Flag.INVALID, Flag.DISTURBED])],
)
def test_the_flags_are_those_of_the_bounds(wait_ns: int, flags: list[Flag]) -> None:
    """Bounds of 0.1 ms are more than 5 % of a wait of 1 ms; a wait of -1 ms is impossible."""
    assert [i.flag for i in node_network(tasks_of(wait_ns), samples_of()).issues] == flags


def test_within_its_bound_a_start_may_be_before_its_submit_call() -> None:
    """Further below 0, each one counts."""
    near, far = tasks_of(-10_000), tasks_of(-MS)
    bounds_ns = node_network(near, samples_of()).bounds_ns
    assert negative_durations(near) == 20
    assert negative_durations(near, bounds_ns) == 0
    assert negative_durations(far, bounds_ns) == 20


def test_a_clock_that_changes_its_rate_makes_a_trial_invalid() -> None:
    """One node; the other is steady."""
    wandering = SkewedClock(HOUR_NS, 0.0, wander_ppm=1_000.0, period_s=3.0)
    (issue,) = node_network(tasks_of(30 * MS), samples_of([NODES[0], wandering])).issues
    assert issue.flag == Flag.INVALID
    assert issue.reason.startswith("the clock of node 1 changed its rate by more than 15 ppm")


def test_nodes_on_the_drivers_clock_have_no_bound() -> None:
    """Their trial has empty columns, and so has a trial whose agents never answered."""
    for samples in ([], samples_of()[:10]):
        network = node_network(tasks_of(MS), samples)
        assert (network.columns, network.issues) == ({}, ())
        assert set(network.bounds_ns) == {0}


def test_a_trial_without_a_start_has_no_bound() -> None:
    """The network was measured all the same."""
    columns = node_network(tasks_of(MS, n=0), samples_of()).columns
    assert columns["clock_bound_ns"] is None
    assert columns["ping_min_ns"] > 0
