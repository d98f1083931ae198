"""Tests the due times of jobs, and how long a window waits for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from lab.core import fire_times
from lab.core.model import Job, Periodic
from lab.driver.schedule_wait import ScheduleWait
from lab.driver.worker_records import WorkerRecords
from lab.host import wall_clock
from lab.planning.phases import Phase
from lab.validation.schedule_match import match_firings
from lab.worker import execution, ledger

S = 10**9
MINUTELY = Job(1, "f", None, cron="* * * * *")
# The wall clock shows a full minute when CLOCK_MONOTONIC is a multiple of 60 s.
OFFSET = 1_000_000_020 * S


@pytest.mark.parametrize(
    ("first_s", "due_s"),
    [(0.4, [0, 60, 120]), (53.0, [0, 60, 120]), (55.0, [60, 120, 180]), (60.0, [60, 120, 180])],
)
def test_the_first_firing_of_a_cron_line_defines_its_first_instant(
    first_s: float, due_s: list[int]
) -> None:
    """It belongs to the instant before it, except in the last tenth of a period."""
    due = fire_times.due_ns(MINUTELY, round(first_s * S), -5 * S, 2, OFFSET)
    assert due == [second * S for second in due_s]


def test_instants_before_the_window_are_left_out() -> None:
    """If a job is scheduled in time and fires late, the next instant is the first that is due."""
    assert fire_times.due_ns(MINUTELY, 2 * S, S, 1, OFFSET) == [60 * S, 120 * S]


def test_the_first_firing_of_an_interval_defines_its_phase() -> None:
    """The backend chooses the phase, so the first firing is not an occurrence."""
    job = Job(1, "f", None, every_s=5.0)
    assert fire_times.due_ns(job, 3 * S, S, 2, OFFSET) == [8 * S, 13 * S, 18 * S]
    assert fire_times.period_boundaries_ns([8 * S, 13 * S]) == [7_500_000_000, 12_500_000_000]


def written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, job: Job, starts: Sequence[int]
) -> ScheduleWait:
    """Write firings of a job, one millisecond each, to the ledger; return the wait for the next."""
    for name, value in {"LEDGER": str(folder), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    for start in starts:
        words, row = ledger.begin(job.id, 0, start)
        ledger.finish(words, row, start + S // 1000, execution.checksum(None))
    ledger._forget()
    arrival = Periodic(1, 1, every_s=job.every_s)
    records = WorkerRecords(folder, [])
    return ScheduleWait(arrival, [job], {job.id: execution.checksum(None)}, records)


def test_a_window_ends_after_the_last_occurrences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a period whose firing has happened is not waited for."""
    now = time.monotonic_ns()
    job = Job(Phase.MEASURE.first_task, "f", None, every_s=50.0)
    waiting = written(tmp_path, monkeypatch, job, [now - 80 * S, now - 30 * S])
    monkeypatch.setattr("lab.driver.schedule_wait.time.sleep", lambda _: pytest.fail("it waited"))
    status = waiting.keep(now - 90 * S, lambda: None)
    assert status["reason"] == ""


def test_a_window_does_not_end_early_after_a_late_first_firing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Punctual firings have another phase, by which the last occurrence is a period later."""
    period = S // 2
    job = Job(Phase.MEASURE.first_task, "f", None, every_s=period / S)
    begin = time.monotonic_ns() - period // 4
    starts = [begin - 3 * period + period // 10, begin - 2 * period, begin - period, begin]
    waiting = written(tmp_path, monkeypatch, job, starts)
    status = waiting.keep(begin, lambda: None)
    tasks = pd.DataFrame({"trial_id": "t", "task_id": job.id, "t3_ns": starts, "t4_ns": starts})
    tasks = tasks.astype({"t3_ns": "Int64", "t4_ns": "Int64"})
    window, offset_ns = (begin, time.monotonic_ns()), wall_clock.offset_ns(status["wall"][0])
    occurrences = match_firings([job], tasks, 1, window, offset_ns)
    assert occurrences.outcome.tolist() == ["missed"]
