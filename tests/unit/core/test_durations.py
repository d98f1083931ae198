"""Tests how long the window of a trial may take."""

from __future__ import annotations

import pytest

from lab.core.durations import PATIENCE_S, first_run_s, longest_s
from lab.core.model import Arrival, Burst, Idle, Paced, Periodic, RoundTrip


@pytest.mark.parametrize(
    ("arrival", "seconds"),
    [
        (Burst(1_000), 0.0),
        (Paced(300, rate_hz=50.0), 6.0),
        (Idle(10.0), 10.0),
        # A client that looks for a result every 0.2 s needs 140 s, more than a deadline of 120 s.
        (RoundTrip(700), 350.0),
        # The first firing within a minute and a period; then four periods, and two at the ends.
        (Periodic(1, 4, every_s=10.0), PATIENCE_S + 10.0 + 60.0),
    ],
)
def test_the_offer_of_the_tasks_ends_in_time(arrival: Arrival, seconds: float) -> None:
    """The driver waits that long before the deadline of the trial begins."""
    assert longest_s(arrival) == pytest.approx(seconds)


def test_a_job_of_a_cron_line_may_wait_for_the_next_minute() -> None:
    """The period of a line is the longest gap between its instants."""
    assert first_run_s(Periodic(1, 2, cron="* * * * *")) == PATIENCE_S + 60.0
