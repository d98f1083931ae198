"""Tests the due instants of arrivals, and the pacer, which never reacts to completions."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from lab.core.model import Burst, Paced, RoundTrip
from lab.driver.pacing import CYCLE_NS, ON, SPIN_NS, offsets_ns, pace


class FakeClock:
    """A clock in ns that advances by each sleep, and by `step_ns` with each reading."""

    def __init__(self, step_ns: int = 10, oversleep_ns: int = 0) -> None:
        self.now_ns, self.step_ns, self.oversleep_ns = 0, step_ns, oversleep_ns

    def read(self) -> int:
        """Advance by `step_ns` and return the time."""
        self.now_ns += self.step_ns
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Advance by the given time and `oversleep_ns`."""
        self.now_ns += round(seconds * 1e9) + (self.oversleep_ns if seconds else 0)


def test_a_plan_is_a_pure_function_of_arrival_and_seed() -> None:
    """The same seed gives the same plan, and another seed a different one."""
    arrival = Paced(500, rate_hz=100.0)
    assert offsets_ns(arrival, 1) == offsets_ns(arrival, 1) != offsets_ns(arrival, 2)


def test_poisson_gaps_have_the_rate_and_the_spread_of_an_exponential() -> None:
    """Mean and standard deviation of the gaps are 1/rate, within five and ten standard errors."""
    plan = offsets_ns(Paced(20_000, rate_hz=1_000.0), 7)
    gaps = [b - a for a, b in pairwise([0, *plan])]
    error = 1e6 / 20_000**0.5
    assert abs(statistics.mean(gaps) - 1e6) < 5 * error
    assert abs(statistics.stdev(gaps) - 1e6) < 10 * error
    assert min(gaps) >= 0


def test_uniform_gaps_are_all_equal() -> None:
    """A uniform plan does not drift, although 1/rate is rounded to ns."""
    plan = offsets_ns(Paced(3_000, rate_hz=300.0, gaps="uniform"), 7)
    assert plan[-1] == 10_000_000_000
    assert {b - a for a, b in pairwise(plan)} == {3_333_333, 3_333_334}


def test_bursty_arrivals_are_on_for_a_fifth_and_have_the_rate_over_whole_cycles() -> None:
    """The rate is five times higher while on and zero while off; the instants ascend."""
    plan = offsets_ns(Paced(20_000, rate_hz=1_000.0, gaps="bursty"), 7)
    assert plan == sorted(plan)
    assert max(at % CYCLE_NS for at in plan) <= ON * CYCLE_NS
    assert plan[-1] / 1e9 == pytest.approx(20, rel=0.05)
    first = [at for at in plan if at < CYCLE_NS]
    assert len(first) == pytest.approx(500, rel=0.15)
    assert plan != offsets_ns(Paced(20_000, rate_hz=1_000.0, gaps="bursty"), 8)


@pytest.mark.parametrize("arrival", [Burst(4), RoundTrip(4)])
def test_tasks_of_bursts_and_round_trips_are_due_at_the_start(arrival: Burst | RoundTrip) -> None:
    """All due instants are the start of the window."""
    assert offsets_ns(arrival, 3) == [0, 0, 0, 0]


def test_the_pacer_corrects_the_error_of_sleep_by_spinning() -> None:
    """A sleep that wakes 150 us late has no effect, because the pacer sleeps shorter and spins."""
    clock = FakeClock(oversleep_ns=150_000)
    lags = [clock.now_ns - t for t in pace([10**6, 5 * 10**6, 9 * 10**6], clock.read, clock.sleep)]
    assert all(0 <= lag <= 2 * clock.step_ns for lag in lags)
    assert SPIN_NS > 150_000


def test_the_pacer_offers_late_tasks_at_once_and_drops_none() -> None:
    """After a stall every task is offered with its original due instant."""
    clock = FakeClock()
    instants = [1_000_000 * n for n in range(1, 11)]
    offered = []
    for instant in pace(instants, clock.read, clock.sleep):
        offered.append((instant, clock.now_ns))
        if instant == 3_000_000:
            clock.now_ns += 4_500_000  # the submit call hung
    assert [instant for instant, _ in offered] == instants
    assert [now - instant < 100 for instant, now in offered[-3:]] == [True] * 3
    assert offered[3][1] - offered[3][0] > 3_000_000
