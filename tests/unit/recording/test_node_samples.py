"""Tests that the readings of the nodes' clocks survive in the samples of a trial."""

from __future__ import annotations

import random
from dataclasses import asdict, replace

from lab.recording import node_samples
from lab.recording.driver_status import RULES
from lab.recording.node_clock import offset_reading
from lab.recording.sample import Sample
from tests.factories.skewed_clocks import BEGIN_NS, HOUR_NS, SECOND_NS, SkewedClock, exchanges


def test_readings_are_those_that_were_written() -> None:
    """Of both nodes, one of which is behind the driver; and a status with them is valid."""
    rng, written, samples = random.Random(0), dict[int, list[object]](), list[Sample]()
    for node, clock in enumerate((SkewedClock(-5 * HOUR_NS, 50.0), SkewedClock(90 * HOUR_NS))):
        for i in range(3):
            taken = exchanges(clock, BEGIN_NS + i * SECOND_NS, rng)
            reading = offset_reading(taken)
            written.setdefault(node, []).append(reading)
            samples += node_samples.of_reading(node, taken, reading)
        samples.append(node_samples.of_bandwidth(node, BEGIN_NS, 1e8))
    assert node_samples.readings(samples) == written
    assert RULES["samples"]([asdict(sample) for sample in samples])
    pings = [s.value for s in samples if s.metric == node_samples.PING]
    assert len(pings) == 2 * 3 * 8
    assert min(pings) >= 80_000


def test_samples_of_others_are_no_readings() -> None:
    """Nor is half of a reading, or one of a damaged source."""
    error = Sample(t_ns=7, source="node:1", metric=node_samples.ERROR, value=5.0, unit="ns")
    offset = replace(error, metric=node_samples.OFFSET)
    assert node_samples.readings([error])[1] == []
    assert len(node_samples.readings([error, offset])[1]) == 1
    for source in ("ledger", "node:x", "node:", "container:node1"):
        others = [replace(error, source=source), replace(offset, source=source)]
        assert node_samples.readings(others) == {}
