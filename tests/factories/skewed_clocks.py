"""Simulates the clock of another machine: its offset, its drift and the wander of its rate."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from lab.recording.node_clock import Exchange, OffsetReading, offset_reading

HOUR_NS = 3_600 * 10**9
SECOND_NS = 10**9
# The window on the driver's clock, and the instants at which the node's clock is read.
BEGIN_NS, END_NS = 7 * HOUR_NS, 7 * HOUR_NS + 10 * SECOND_NS
READ_AT_NS = (
    BEGIN_NS - SECOND_NS // 2,
    *range(BEGIN_NS + SECOND_NS, END_NS, SECOND_NS),
    END_NS + SECOND_NS // 2,
)


@dataclass(frozen=True)
class SkewedClock:
    """The clock of a node, as a function of the driver's.

    Attributes:
        offset_ns: Its difference at `BEGIN_NS`.
        drift_ppm: The difference of its mean rate.
        wander_ppm: The amplitude of a sine that its rate follows.
        period_s: The period of this sine.
    """

    offset_ns: int
    drift_ppm: float = 0.0
    wander_ppm: float = 0.0
    period_s: float = 10.0

    def at(self, driver_ns: int) -> int:
        """Return the instant that this clock shows at an instant of the driver's."""
        elapsed_ns = driver_ns - BEGIN_NS
        turns = 2 * math.pi * elapsed_ns / (self.period_s * SECOND_NS)
        swing_ns = self.wander_ppm * 1e-6 * self.period_s * SECOND_NS / (2 * math.pi)
        error_ns = self.drift_ppm * 1e-6 * elapsed_ns + swing_ns * (1 - math.cos(turns))
        return driver_ns + self.offset_ns + math.floor(error_ns)

    def exchange(self, sent_ns: int, out_ns: int, held_ns: int, back_ns: int) -> Exchange:
        """Return the exchange of a message that takes these times on its way."""
        arrived_ns = sent_ns + out_ns
        left_ns = arrived_ns + held_ns
        return Exchange(sent_ns, self.at(arrived_ns), self.at(left_ns), left_ns + back_ns)


def exchanges(clock: SkewedClock, at_ns: int, rng: random.Random, n: int = 8) -> list[Exchange]:
    """Return exchanges over a network that delays each message by another time, 40 us or more."""
    delays_ns = [[40_000 + round(rng.expovariate(1 / 200_000)) for _ in range(2)] for _ in range(n)]
    sent_ns = [at_ns + 2_000_000 * i for i in range(n)]
    return [
        clock.exchange(sent, out, rng.randrange(1_000, 9_000), back)
        for sent, (out, back) in zip(sent_ns, delays_ns, strict=True)
    ]


def readings(
    clock: SkewedClock, rng: random.Random, at_ns: Sequence[int] = READ_AT_NS
) -> list[OffsetReading]:
    """Return readings of a clock before, during and after the window."""
    return [offset_reading(exchanges(clock, instant, rng)) for instant in at_ns]
