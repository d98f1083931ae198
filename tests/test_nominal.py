"""When jobs are due, and until when a window waits for them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import kernel, ledger, nominal
from lab.appointments import Appointments
from lab.ledger import MEASURE
from lab.model import Job, Periodic
from lab.tasks import FIRST_TASK

S = 10**9
MINUTELY = Job(1, "f", None, cron="* * * * *")
# The wall clock shows a full minute when CLOCK_MONOTONIC is a multiple of 60 s.
OFFSET = 1_000_000_020 * S


@pytest.mark.parametrize(
    ("first_s", "due_s"),
    [(0.4, [0, 60, 120]), (53.0, [0, 60, 120]), (55.0, [60, 120, 180]), (60.0, [60, 120, 180])],
)
def test_the_first_run_of_a_cron_line_keeps_the_instant_that_it_belongs_to(
    first_s: float, due_s: list[int]
) -> None:
    """The line names it, so it counts; only in the last tenth before an instant it is early."""
    due = nominal.due_ns(MINUTELY, round(first_s * S), -5 * S, 2, OFFSET)
    assert due == [second * S for second in due_s]


def test_what_was_due_before_the_window_does_not_count() -> None:
    """A scheduler that was told in time, and runs late, owes the next instant first."""
    assert nominal.due_ns(MINUTELY, 2 * S, S, 1, OFFSET) == [60 * S, 120 * S]


def test_the_first_run_of_an_interval_opens_it() -> None:
    """Its phase is the system's, so the first run itself is no occurrence."""
    job = Job(1, "f", None, every_s=5.0)
    assert nominal.due_ns(job, 3 * S, S, 2, OFFSET) == [8 * S, 13 * S, 18 * S]
    assert nominal.edges_ns([8 * S, 13 * S]) == [7_500_000_000, 12_500_000_000]


def test_a_window_ends_when_every_last_occurrence_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the rest of a period of which the run is there."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    now = time.monotonic_ns()
    job, begin = Job(FIRST_TASK[MEASURE], "f", None, every_s=50.0), now - 90 * S
    for start in (now - 80 * S, now - 30 * S):
        words, row = ledger.begin(job.id, 0, start)
        ledger.finish(words, row, start + S, kernel.checksum(None))
    ledger._forget()
    monkeypatch.setattr("lab.appointments.time.sleep", lambda _: pytest.fail("it waited"))
    arrival = Periodic(1, 1, every_s=50.0)
    waiting = Appointments(arrival, [job], {job.id: kernel.checksum(None)}, tmp_path)
    kept = waiting.keep(begin, lambda: None)
    assert kept["reason"] == ""
