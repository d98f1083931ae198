"""Tests which trials the clocks of several machines flag."""

from __future__ import annotations

import random

import pytest

from lab.core.model import Flag
from lab.recording.node_clock import NodeClock
from lab.validation.clock_bounds import BoundedDuration, clock_issues
from tests.factories.skewed_clocks import BEGIN_NS, END_NS, HOUR_NS, SkewedClock, readings

MS = 1_000_000


def waits_of(*durations_ns: int, bound_ns: int) -> list[BoundedDuration]:
    """Return waits that all have the same bound."""
    return [BoundedDuration(duration_ns, bound_ns) for duration_ns in durations_ns]


@pytest.mark.parametrize(
    ("bound_ns", "flags"),
    [(50_000, []), (50_001, [Flag.DISTURBED]), (0, []), (MS, [Flag.DISTURBED])],
)
def test_a_bound_above_5_percent_of_the_median_wait_is_flagged(
    bound_ns: int, flags: list[Flag]
) -> None:
    """The median wait is 1 ms; the mean is not."""
    waits = waits_of(MS // 2, MS, 40 * MS, bound_ns=bound_ns)
    assert [issue.flag for issue in clock_issues(waits)] == flags


def test_the_largest_bound_counts() -> None:
    """One node with a bad clock is not hidden by the others."""
    waits = waits_of(*[MS] * 9, bound_ns=1) + waits_of(MS, bound_ns=60_000)
    (issue,) = clock_issues(waits)
    assert issue.reason == (
        "clocks of two machines agree to 0.060 ms, more than 5% of the median wait of 1.000 ms"
    )


def test_a_negative_duration_beyond_its_bound_makes_a_trial_invalid() -> None:
    """Within its bound it is the error of the clocks."""
    waits = waits_of(100 * MS, 100 * MS, -5_000, bound_ns=5_000)
    assert clock_issues(waits) == []
    assert clock_issues(waits, waits_of(-5_000, bound_ns=5_000)) == []
    (issue,) = clock_issues(waits, waits_of(-5_001, -9_000, 0, bound_ns=5_000))
    assert issue.flag == Flag.INVALID
    assert issue.reason.startswith("2 durations between two machines")
    (issue,) = clock_issues(waits_of(100 * MS, 100 * MS, -5_001, bound_ns=5_000))
    assert issue.reason.startswith("1 durations")


def test_a_trial_without_waits_has_no_issue() -> None:
    """No task started: that is an outcome, not a problem of the clocks."""
    assert clock_issues([]) == []


def test_good_clocks_flag_no_trial_and_a_wrong_correction_flags_all() -> None:
    """200 synthetic trials with waits of 30 ms; then each with an offset that is an hour wrong."""
    for seed in range(200):
        rng = random.Random(seed)
        skewed = SkewedClock(rng.randrange(-6, 48) * HOUR_NS, rng.choice((-50.0, 50.0)))
        clock = NodeClock(readings(skewed, rng))
        due_ns = [rng.randrange(BEGIN_NS, END_NS) for _ in range(50)]
        started_ns = [skewed.at(due + round(rng.expovariate(1 / (30 * MS)))) for due in due_ns]
        bounds_ns = [clock.bound_ns(instant) for instant in started_ns]
        waits = [
            BoundedDuration(clock.to_driver(started) - due, bound)
            for started, due, bound in zip(started_ns, due_ns, bounds_ns, strict=True)
        ]
        assert clock_issues(waits) == []
        # As if the machine had been an hour further away.
        wrong = [wait._replace(duration_ns=wait.duration_ns - HOUR_NS) for wait in waits]
        assert Flag.INVALID in [issue.flag for issue in clock_issues(wrong)]
