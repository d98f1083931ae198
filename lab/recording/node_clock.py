"""Converts instants of another machine's clock to the driver's clock, and bounds the error.

The driver sends a message at T1 and receives the answer at T4 of its clock; the node receives it at
T2 and answers at T3 of its own. The node's clock showed the middle of T2 and T3 at the middle of T1
and T4, up to half of the delay (T4 - T1) - (T3 - T2), however unequal the two ways are: RFC 5905,
section 8; Cristian, "Probabilistic clock synchronization" (1989). The exchange with the
smallest delay counts (clock filter, RFC 5905, section 10).

Between two readings, both clocks are taken to run at constant rates. The bound of the error is that
of the readings, and `WANDER_PPM` of the time to the nearer one (METHOD M14). A reading that is
worse than the line through its neighbours, because the driver or the network was busy, is not used.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PPM = 1_000_000
# The limit of the difference of two clocks' rates: the kernel corrects each by up to 500 ppm,
# adjtimex(2). It matters only while the node holds a message.
DRIFT_PPM = 1_000
# How far a rate may be from its mean between two readings: the frequency tolerance of RFC 5905.
WANDER_PPM = 15
# Of two clocks that count nanoseconds.
RESOLUTION_NS = 2


class Exchange(NamedTuple):
    """A message and its answer: T1 and T4 of the driver's clock, T2 and T3 of the node's."""

    sent_ns: int
    received_ns: int
    answered_ns: int
    returned_ns: int

    @property
    def held_ns(self) -> int:
        """Return the time that the node held the message, on its clock."""
        return self.answered_ns - self.received_ns

    @property
    def delay_ns(self) -> int:
        """Return the time that both ways took together."""
        return self.returned_ns - self.sent_ns - self.held_ns

    @property
    def error_ns(self) -> int:
        """Return the largest error of a reading; below 0, the instants contradict each other."""
        twice = self.delay_ns * PPM + self.held_ns * DRIFT_PPM
        return -(-twice // (2 * PPM)) + RESOLUTION_NS


class OffsetReading(NamedTuple):
    """One instant of both clocks; that of the driver is wrong by at most `error_ns`."""

    node_ns: int
    driver_ns: int
    error_ns: int


def offset_reading(exchanges: Iterable[Exchange]) -> OffsetReading:
    """Return the reading of the exchange with the smallest delay.

    Raises:
        ValueError: There is no exchange, or each contradicts the order of its instants.
    """
    possible = [e for e in exchanges if e.held_ns >= 0 and e.error_ns >= 0]
    if not possible:
        raise ValueError("No exchange with the node has instants in their order.")
    best = min(possible, key=lambda exchange: exchange.error_ns)
    node_ns = (best.received_ns + best.answered_ns) // 2
    return OffsetReading(node_ns, (best.sent_ns + best.returned_ns) // 2, best.error_ns)


class NodeClock:
    """The clock of one node, from its readings before, during and after the window."""

    def __init__(self, readings: Iterable[OffsetReading]) -> None:
        """Take the readings in any order.

        Raises:
            ValueError: There are fewer than two different instants.
        """
        self._taken = sorted({reading.node_ns: reading for reading in readings}.values())
        if len(self._taken) < 2:  # noqa: PLR2004 (a line)
            raise ValueError("A node's clock needs a reading before and after the window.")
        self._readings = _useful(self._taken)
        self._instants_ns = [reading.node_ns for reading in self._readings]

    def to_driver(self, node_ns: int) -> int:
        """Return an instant of the node's clock on the driver's, ns."""
        left, right = self._around(node_ns)
        elapsed_ns = (node_ns - left.node_ns) * (right.driver_ns - left.driver_ns)
        return left.driver_ns + elapsed_ns // (right.node_ns - left.node_ns)

    def bound_ns(self, node_ns: int) -> int:
        """Return the largest error of `to_driver` at an instant of the node's clock, ns."""
        return _bound_ns(*self._around(node_ns), node_ns)

    def excess_ns(self) -> int:
        """Return how far a reading is off the line through its neighbours, beyond all bounds, ns.

        0: no reading contradicts that the rates are constant to `WANDER_PPM`. Above 0, they are
        not, and the bounds are wrong.
        """
        triples = zip(self._readings, self._readings[1:], self._readings[2:], strict=False)
        excesses_ns = [0]
        for before, reading, after in triples:
            line = NodeClock([before, after])
            off_ns = abs(line.to_driver(reading.node_ns) - reading.driver_ns)
            excesses_ns.append(off_ns - line.bound_ns(reading.node_ns) - reading.error_ns)
        for reading in self._taken:  # also those that are not used
            off_ns = abs(self.to_driver(reading.node_ns) - reading.driver_ns)
            excesses_ns.append(off_ns - self.bound_ns(reading.node_ns) - reading.error_ns)
        return max(excesses_ns)

    @property
    def drift_ppm(self) -> float:
        """Return by how much the node's clock is faster, from the first reading to the last."""
        first, last = self._readings[0], self._readings[-1]
        driver_ns = last.driver_ns - first.driver_ns
        return (last.node_ns - first.node_ns - driver_ns) / driver_ns * PPM

    def _around(self, node_ns: int) -> tuple[OffsetReading, OffsetReading]:
        """Return the readings before and after an instant; outside of all, the first and last."""
        at = bisect_right(self._instants_ns, node_ns)
        if 0 < at < len(self._readings):
            return self._readings[at - 1], self._readings[at]
        return self._readings[0], self._readings[-1]


def _bound_ns(left: OffsetReading, right: OffsetReading, node_ns: int) -> int:
    """Return the largest error at an instant on the line through two readings, ns."""
    away_ns = min(abs(node_ns - left.node_ns), abs(right.node_ns - node_ns))
    error_ns = max(left.error_ns, right.error_ns)
    if not left.node_ns <= node_ns <= right.node_ns:
        # The line is continued, and the error of its slope counts as well.
        total_ns = (left.error_ns + right.error_ns) * away_ns
        error_ns += -(-total_ns // (right.node_ns - left.node_ns))
    return error_ns - (-away_ns * WANDER_PPM // PPM) + RESOLUTION_NS


def _useful(taken: Sequence[OffsetReading]) -> list[OffsetReading]:
    """Remove each reading that is worse than the line through its neighbours, the worst first."""
    useful = [*taken]
    for reading in sorted(taken, key=lambda reading: reading.error_ns, reverse=True):
        if len(useful) < 3:  # noqa: PLR2004 (a line through two others)
            break
        at = useful.index(reading)
        first = min(max(at - 1, 0), len(useful) - 3)
        left, right = (near for near in useful[first : first + 3] if near is not reading)
        if _bound_ns(left, right, reading.node_ns) < reading.error_ns:
            del useful[at]
    return useful
