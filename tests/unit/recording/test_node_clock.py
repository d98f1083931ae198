"""Tests that instants of another machine agree with the driver's clock within their bound."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.recording.node_clock import (
    WANDER_PPM,
    Exchange,
    NodeClock,
    OffsetReading,
    offset_reading,
)
from tests.factories.skewed_clocks import (
    BEGIN_NS,
    END_NS,
    HOUR_NS,
    READ_AT_NS,
    SECOND_NS,
    SkewedClock,
    readings,
)

YEAR_NS = 365 * 24 * HOUR_NS
# Rates within 7 ppm of their mean differ from it by less than 15 ppm between any two readings.
CLOCKS = st.builds(
    SkewedClock,
    offset_ns=st.integers(-BEGIN_NS, YEAR_NS),
    drift_ppm=st.floats(-200, 200),
    wander_ppm=st.floats(0, 7),
    period_s=st.floats(0.5, 100),
)
DELAYS_NS = st.integers(0, 100_000_000)


def test_the_offset_is_that_of_rfc_5905() -> None:
    """The known answer: offset (5 + 1) / 2 = 3 us, delay 4 us, error at most 2 us."""
    exchange = Exchange(sent_ns=0, received_ns=5_000, answered_ns=15_000, returned_ns=14_000)
    assert exchange.delay_ns == 4_000
    reading = offset_reading([exchange])
    assert reading.node_ns - reading.driver_ns == 3_000
    # And 1,000 ppm of 5 us, and 2 ns for the resolution of two clocks.
    assert reading.error_ns == 2_000 + 5 + 2


def test_the_exchange_with_the_smallest_delay_counts() -> None:
    """A message that waited in a queue says little about the clock."""
    clock = SkewedClock(offset_ns=5 * HOUR_NS)
    slow = clock.exchange(BEGIN_NS, 900_000, 1_000, 100_000)
    fast = clock.exchange(BEGIN_NS + SECOND_NS, 40_000, 1_000, 60_000)
    assert offset_reading([slow, fast, slow]) == offset_reading([fast])
    assert offset_reading([fast]).error_ns < 50_010


def test_an_exchange_against_the_order_of_time_does_not_count() -> None:
    """A machine that was suspended may answer with such instants; alone, they are no reading."""
    backwards = Exchange(0, 100, 50, 1_000)
    too_long = Exchange(0, 100, 5_000, 1_000)
    right = Exchange(0, 100, 200, 1_000)
    assert offset_reading([backwards, too_long, right]) == offset_reading([right])
    with pytest.raises(ValueError, match="No exchange"):
        offset_reading([backwards, too_long])


def test_waits_agree_with_those_on_one_clock_in_200_trials() -> None:
    """Three machines hours apart, which drift by 50 ppm and wander; every wait of every trial."""
    shares = []
    for seed in range(200):
        rng = random.Random(seed)
        for drift_ppm in (-50.0, 50.0, rng.uniform(-50, 50)):
            offset_ns = rng.randrange(-6 * HOUR_NS, 48 * HOUR_NS)
            skewed = SkewedClock(offset_ns, drift_ppm, rng.uniform(0, 7), rng.uniform(1, 20))
            clock = NodeClock(readings(skewed, rng))
            for _ in range(50):
                due_ns = rng.randrange(BEGIN_NS, END_NS)
                wait_ns = 100_000 + round(rng.expovariate(1 / 2_000_000))
                started_ns = skewed.at(due_ns + wait_ns)  # as the node records it
                error_ns = abs(clock.to_driver(started_ns) - due_ns - wait_ns)
                bound_ns = clock.bound_ns(started_ns)
                assert error_ns <= bound_ns, (seed, skewed)
                shares.append(error_ns / bound_ns)
            assert clock.excess_ns() == 0
            assert abs(clock.drift_ppm - drift_ppm) < 30
    # The bound is no fantasy: some waits use most of it.
    assert len(shares) == 30_000
    assert max(shares) > 0.5


def test_the_bound_is_half_of_the_smallest_delay_and_the_wander() -> None:
    """Halfway between two readings a second apart, the rate may have changed for half a second."""
    skewed = SkewedClock(3 * HOUR_NS, 50.0)
    exchange_at = [BEGIN_NS, BEGIN_NS + SECOND_NS, BEGIN_NS + 2 * SECOND_NS]
    clock = NodeClock(
        [offset_reading([skewed.exchange(at, 30_000, 0, 50_000)]) for at in exchange_at]
    )
    between_ns = skewed.at(BEGIN_NS + SECOND_NS // 2)
    wander_ns = WANDER_PPM * 500  # 0.5 s
    assert 40_000 + wander_ns <= clock.bound_ns(between_ns) <= 40_000 + wander_ns + 10
    # 50 ppm of half a second are 25 us: the offset of the first reading alone is wrong by that.
    assert abs(clock.to_driver(between_ns) - BEGIN_NS - SECOND_NS // 2) <= 10_010


@given(
    skewed=CLOCKS,
    ways=st.lists(
        st.tuples(DELAYS_NS, st.integers(0, 1_000_000), DELAYS_NS), min_size=2, max_size=6
    ),
    gap_ns=st.integers(10_000_000, 5 * SECOND_NS),
    share=st.floats(-1, 2),
)
def test_no_instant_is_further_off_than_its_bound(
    skewed: SkewedClock, ways: list[tuple[int, int, int]], gap_ns: int, share: float
) -> None:
    """Whatever the delays are, also before the first reading and after the last."""
    taken, at_ns = [], BEGIN_NS
    for out_ns, held_ns, back_ns in ways:
        exchange = skewed.exchange(at_ns, out_ns, held_ns, back_ns)
        taken.append(offset_reading([exchange]))
        at_ns = exchange.returned_ns + gap_ns
    clock = NodeClock(taken)
    instant_ns = BEGIN_NS + round(share * (at_ns - BEGIN_NS))
    node_ns = skewed.at(instant_ns)
    assert abs(clock.to_driver(node_ns) - instant_ns) <= clock.bound_ns(node_ns)
    assert clock.excess_ns() == 0


def test_a_clock_that_changes_its_rate_is_noticed() -> None:
    """A reading in the window contradicts the line through its neighbours."""
    rng = random.Random(1)
    steady = readings(SkewedClock(HOUR_NS, 10.0), rng)
    assert NodeClock(steady).excess_ns() == 0
    # As if the kernel had let the clock run 1,000 ppm faster from the sixth reading on.
    faster = [
        reading._replace(node_ns=reading.node_ns + max(0, i - 5) * 1_000_000)
        for i, reading in enumerate(steady)
    ]
    excess_ns = NodeClock(faster).excess_ns()
    assert 0 < excess_ns < 500_000


def test_a_clock_needs_two_readings() -> None:
    """One reading shows no drift."""
    reading = OffsetReading(node_ns=1, driver_ns=1, error_ns=1)
    for few in ([], [reading], [reading, reading]):
        with pytest.raises(ValueError, match="before and after"):
            NodeClock(few)


def test_readings_during_the_window_narrow_the_bound() -> None:
    """With those before and after alone, the rate may have changed for 5 s."""
    skewed, rng = SkewedClock(HOUR_NS, 50.0), random.Random(2)
    taken = readings(skewed, rng)
    node_ns = [skewed.at(instant) for instant in range(BEGIN_NS, END_NS, SECOND_NS // 7)]

    def bound_ns(clock: NodeClock) -> float:
        return median(map(clock.bound_ns, node_ns))

    assert bound_ns(NodeClock(taken)) < bound_ns(NodeClock([taken[0], taken[-1]]))
    assert len(taken) == len(READ_AT_NS)


def test_a_poor_reading_does_not_widen_the_bound() -> None:
    """The driver was busy during one reading: its neighbours say more, and it is still checked."""
    skewed, rng = SkewedClock(HOUR_NS, 50.0), random.Random(3)
    taken = readings(skewed, rng)
    poor = offset_reading([skewed.exchange(BEGIN_NS + SECOND_NS // 2, 40_000, 0, 9_000_000)])
    node_ns = [skewed.at(instant) for instant in range(BEGIN_NS, END_NS, SECOND_NS // 7)]
    without, with_poor = NodeClock(taken), NodeClock([*taken, poor])
    assert poor.error_ns > 4_000_000
    assert [with_poor.bound_ns(at) for at in node_ns] == [without.bound_ns(at) for at in node_ns]
    assert with_poor.excess_ns() == 0
    # 20 ms off: that is more than the 4.5 ms of its error.
    wrong = poor._replace(driver_ns=poor.driver_ns + 20_000_000)
    assert NodeClock([*taken, wrong]).excess_ns() > 15_000_000


def test_two_readings_are_kept() -> None:
    """However poor they are: a line needs two."""
    poor = [OffsetReading(at, at, 10**9) for at in (1, SECOND_NS, 2 * SECOND_NS)]
    assert NodeClock(poor).bound_ns(SECOND_NS // 2) > 10**9
