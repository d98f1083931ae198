"""When jobs are due, and until when a window waits for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from lab.core import fire_times
from lab.core.model import Job, Periodic
from lab.driver.schedule_wait import Appointments
from lab.host import wall_clock
from lab.planning.phases import FIRST_TASK
from lab.validation.schedule_match import judge
from lab.worker import execution, ledger
from lab.worker.ledger import MEASURE

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
    due = fire_times.due_ns(MINUTELY, round(first_s * S), -5 * S, 2, OFFSET)
    assert due == [second * S for second in due_s]


def test_what_was_due_before_the_window_does_not_count() -> None:
    """A scheduler that was told in time, and runs late, owes the next instant first."""
    assert fire_times.due_ns(MINUTELY, 2 * S, S, 1, OFFSET) == [60 * S, 120 * S]


def test_the_first_run_of_an_interval_opens_it() -> None:
    """Its phase is the system's, so the first run itself is no occurrence."""
    job = Job(1, "f", None, every_s=5.0)
    assert fire_times.due_ns(job, 3 * S, S, 2, OFFSET) == [8 * S, 13 * S, 18 * S]
    assert fire_times.edges_ns([8 * S, 13 * S]) == [7_500_000_000, 12_500_000_000]


def wrote(
    folder: Path, monkeypatch: pytest.MonkeyPatch, job: Job, starts: Sequence[int]
) -> Appointments:
    """Put runs of a job, a millisecond each, into the ledger; return what waits for its next."""
    for name, value in {"LEDGER": str(folder), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    for start in starts:
        words, row = ledger.begin(job.id, 0, start)
        ledger.finish(words, row, start + S // 1000, execution.checksum(None))
    ledger._forget()
    arrival = Periodic(1, 1, every_s=job.every_s)
    return Appointments(arrival, [job], {job.id: execution.checksum(None)}, folder)


def test_a_window_ends_when_every_last_occurrence_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the rest of a period of which the run is there."""
    now = time.monotonic_ns()
    job = Job(FIRST_TASK[MEASURE], "f", None, every_s=50.0)
    waiting = wrote(tmp_path, monkeypatch, job, [now - 80 * S, now - 30 * S])
    monkeypatch.setattr("lab.driver.schedule_wait.time.sleep", lambda _: pytest.fail("it waited"))
    kept = waiting.keep(now - 90 * S, lambda: None)
    assert kept["reason"] == ""


def test_a_window_ends_no_earlier_where_the_first_run_of_all_was_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Punctual runs have another phase than it, by which the one that counts is a period later."""
    period = S // 2
    job = Job(FIRST_TASK[MEASURE], "f", None, every_s=period / S)
    begin = time.monotonic_ns() - period // 4
    starts = [begin - 3 * period + period // 10, begin - 2 * period, begin - period, begin]
    waiting = wrote(tmp_path, monkeypatch, job, starts)
    kept = waiting.keep(begin, lambda: None)
    tasks = pd.DataFrame({"trial_id": "t", "task_id": job.id, "t3_ns": starts, "t4_ns": starts})
    window, offset_ns = (begin, time.monotonic_ns()), wall_clock.offset_ns(kept["wall"][0])
    found = judge([job], tasks.astype({"t3_ns": "Int64", "t4_ns": "Int64"}), 1, window, offset_ns)
    assert found.verdict.tolist() == ["missed"]
