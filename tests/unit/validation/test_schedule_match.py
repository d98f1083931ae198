"""Tests that the known faults of fictitious schedulers are metrics exactly (METHOD M26)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import Job
from lab.results.formats import from_parquet, to_parquet
from lab.results.schema.metric import MetricRow
from lab.validation.schedule_match import match_firings
from tests.factories.simulated import trial

MS = 1_000_000
BEGIN_NS = 5_000_000_000
# The wall clock shows five minutes and three seconds when the window begins.
WALL_OFFSET_NS = 303_000_000_000 - BEGIN_NS
EVERY_SECOND = Job(7, "f", 0, every_s=1.0)
EVERY_MINUTE = Job(7, "f", 0, cron="* * * * *")


def runs(starts: Sequence[int], took_ns: int = MS, job: int = 7) -> pd.DataFrame:
    """Make the executions of one job."""
    t3 = pd.Series(starts, dtype="Int64")
    return pd.DataFrame({"trial_id": "t", "task_id": job, "t3_ns": t3, "t4_ns": t3 + took_ns})


def judged(job: Job, tasks: pd.DataFrame, n: int, end_ns: int | None = None) -> pd.DataFrame:
    """Match the firings of one job in a window that is long enough."""
    return match_firings([job], tasks, n, (BEGIN_NS, end_ns or 10**15), WALL_OFFSET_NS)


def metrics_of(occurrences: pd.DataFrame) -> dict[str, MetricRow]:
    """Return the metrics of a periodic trial by name."""
    none = pd.DataFrame({name: [] for name in ("task_id", "outcome", *instants())})
    row = trial(arrival="periodic")
    return {m.metric: m for m in trial_metrics(row, none, occurrences)}


def instants() -> list[str]:
    """Return the names of the instants of a task."""
    return [f"t{i}_ns" for i in range(6)]


def faulty(due: Sequence[int]) -> list[int]:
    """Return firings 7 ms late, 0.5 ms more each time, without the tenth, the twentieth twice."""
    starts = [instant + 7 * MS + k * MS // 2 for k, instant in enumerate(due)]
    twice = starts[20] + 100 * MS
    return sorted([*starts[:10], *starts[11:], twice])


def test_offset_drift_miss_and_double_of_a_cron_line_are_exact() -> None:
    """The scheduler is that of METHOD M26, with instants of the wall clock."""
    first = 360_000_000_000 - WALL_OFFSET_NS
    due = [first + k * 60_000_000_000 for k in range(60)]
    # One firing before, which defines the first instant and is left out.
    occurrences = judged(EVERY_MINUTE, runs([first - 60_000_000_000, *faulty(due)]), 60)
    metrics = metrics_of(occurrences)
    assert occurrences[occurrences.outcome == "missed"].k.tolist() == [10]
    assert occurrences[occurrences.outcome == "doubled"].k.tolist() == [20]
    assert (metrics["missed"].value, metrics["doubled"].value, metrics["early"].value) == (1, 1, 0)
    assert metrics["missed"].n == 60
    assert occurrences.error_ns.iloc[0] == 7 * MS
    assert metrics["drift_s_per_occurrence"].value == pytest.approx(0.5e-3, abs=1e-12)
    errors = [7 + 0.5 * k for k in range(60) if k != 10]
    assert metrics["lateness_s_p50"].value == pytest.approx(sorted(errors)[29] / 1e3, abs=1e-12)
    assert metrics["lateness_s_max"].value == pytest.approx((7 + 59 * 0.5) / 1e3, abs=1e-12)
    assert metrics["jitter_s_sd"].value == pytest.approx(np.std(errors, ddof=1) / 1e3, abs=1e-12)
    assert metrics["period_error_s_max"].value == pytest.approx(0.5e-3, abs=1e-12)


def test_a_run_that_is_caught_up_is_late_and_not_missed() -> None:
    """A scheduler that was restarted at the second instant runs it 54 s late at most."""
    first = 360_000_000_000 - WALL_OFFSET_NS
    due = [first + k * 60_000_000_000 for k in range(3)]
    late = [due[0] + 7 * MS, due[1] + 53_900 * MS, due[2] + 7 * MS]
    occurrences = judged(EVERY_MINUTE, runs(late), 3)
    assert occurrences.outcome.tolist() == ["fired"] * 3
    assert occurrences.error_ns.tolist() == [7 * MS, 53_900 * MS, 7 * MS]


def test_drift_miss_and_double_of_an_interval_are_exact() -> None:
    """The backend chooses the phase, so there is no offset, and no firing is early."""
    due = [BEGIN_NS + 7 * MS + k * 1_000_000_000 for k in range(61)]
    starts = [due[0], *(start - 7 * MS for start in faulty(due[1:]))]
    occurrences = judged(EVERY_SECOND, runs(starts), 60)
    metrics = metrics_of(occurrences)
    assert occurrences[occurrences.outcome == "missed"].k.tolist() == [10]
    assert occurrences[occurrences.outcome == "doubled"].k.tolist() == [20]
    assert metrics["drift_s_per_occurrence"].value == pytest.approx(0.5e-3, abs=1e-12)
    assert metrics["lateness_s_max"].value == pytest.approx(59 * 0.5e-3, abs=1e-12)
    assert (metrics["missed"].value, metrics["doubled"].value, metrics["early"].value) == (1, 1, 0)


def test_the_drift_is_the_same_when_it_passes_a_whole_period() -> None:
    """Intervals from the last firing fall behind by a period: one miss, the same slope."""
    starts = [BEGIN_NS + 1 + k * 1_020_000_000 for k in range(100)]
    metrics = metrics_of(judged(EVERY_SECOND, runs(starts), 90))
    assert metrics["drift_s_per_occurrence"].value == pytest.approx(0.020, abs=0.001)
    assert metrics["missed"].value == 1


def test_a_missed_occurrence_does_not_round_nanoseconds() -> None:
    """Instants are exact beside nulls, and on a machine with years of uptime."""
    begin = 2**60 + 1
    tasks = runs([begin + k * 1_000_000_000 for k in (1, 2, 4, 5)])
    occurrences = match_firings([EVERY_SECOND], tasks, 3, (begin, 2**62), 0)
    assert occurrences.outcome.tolist() == ["fired", "missed", "fired"]
    origin = Path("firing")
    read = from_parquet("firing", to_parquet("firing", occurrences, origin), origin)
    assert read.started_ns.dropna().tolist() == [begin + 2 * 10**9, begin + 4 * 10**9]


def test_a_late_first_firing_does_not_make_the_others_early() -> None:
    """The phase is that of the most punctual of the first firings."""
    starts = [BEGIN_NS + 400 * MS, *(BEGIN_NS + k * 1_000_000_000 for k in range(1, 12))]
    occurrences = judged(EVERY_SECOND, runs(starts), 10)
    assert set(occurrences.outcome) == {"fired"}
    assert occurrences.error_ns.tolist() == [0] * 10


def test_a_firing_before_the_minute_is_early_and_no_double() -> None:
    """A scheduler that wakes 10 ms before each minute is early each time."""
    first = 360_000_000_000 - WALL_OFFSET_NS - 10 * MS
    starts = [first + k * 60_000_000_000 for k in range(4)]
    occurrences = judged(EVERY_MINUTE, runs(starts), 3)
    assert occurrences.outcome.tolist() == ["early"] * 3
    assert occurrences.error_ns.tolist() == [-10 * MS] * 3


def test_firings_after_the_window_are_ignored() -> None:
    """A period that the end of the window cuts is used only if its firing has begun."""
    starts = [BEGIN_NS + 1 + k * 1_000_000_000 for k in range(9)]
    occurrences = judged(EVERY_SECOND, runs(starts), 8, end_ns=BEGIN_NS + 5_950_000_000)
    assert occurrences.k.tolist() == [0, 1, 2, 3, 4]


def test_firings_longer_than_the_period_overlap() -> None:
    """Each firing except the first starts while the one before runs, or has not ended."""
    starts = [BEGIN_NS + 1 + k * 1_000_000_000 for k in range(6)]
    tasks = runs(starts, took_ns=1_500 * MS)
    tasks.loc[1, "t4_ns"] = pd.NA
    occurrences = judged(EVERY_SECOND, tasks, 5)
    assert occurrences.overlaps.tolist() == [1] * 5
    assert occurrences.finished_ns.isna().tolist() == [True, False, False, False, False]
    assert judged(EVERY_SECOND, runs(starts), 5).overlaps.sum() == 0


def test_a_job_that_never_fired_missed_all_occurrences() -> None:
    """Its phase is the start of the window."""
    other = runs([BEGIN_NS + 1], job=8)
    occurrences = match_firings([EVERY_SECOND], other, 3, (BEGIN_NS, 10**15), WALL_OFFSET_NS)
    assert occurrences.outcome.tolist() == ["missed"] * 3
    metrics = metrics_of(occurrences)
    assert metrics["missed"].value == 3
    assert metrics["lateness_s_p50"].value is None


def test_too_few_occurrences_have_a_maximum_and_no_percentile() -> None:
    """Three cron minutes are too few for p50 and for a drift (METHOD M11)."""
    first = 360_000_000_000 - WALL_OFFSET_NS
    starts = [first + 20 * MS + k * 60_000_000_000 for k in range(-1, 3)]
    metrics: dict[str, Any] = metrics_of(judged(EVERY_MINUTE, runs(starts), 3))
    assert metrics["lateness_s_max"].value == pytest.approx(0.020)
    assert metrics["lateness_s_p50"].value is None
    assert "p50 needs 11" in metrics["lateness_s_p50"].method
    assert metrics["drift_s_per_occurrence"].value is None
    assert metrics["jitter_s_sd"].value == 0
    assert metrics["jitter_s_iqr"].value is None
    assert metrics["lateness_s_p99"].value is None


def test_lateness_is_over_all_jobs_and_jitter_per_job() -> None:
    """Jobs that are due together are late; jitter and drift are those of the median job."""
    jobs = [Job(i, "f", 0, cron="* * * * *") for i in range(100)]
    first = 360_000_000_000 - WALL_OFFSET_NS
    tasks = pd.concat(
        runs([first + k * 60_000_000_000 + job.id * MS for k in range(-1, 3)], job=job.id)
        for job in jobs
    )
    metrics = metrics_of(match_firings(jobs, tasks, 3, (BEGIN_NS, 10**15), WALL_OFFSET_NS))
    assert metrics["lateness_s_p50"].value == pytest.approx(0.049)
    assert metrics["lateness_s_max"].value == pytest.approx(0.099)
    assert metrics["jitter_s_sd"].value == 0
    assert metrics["missed"].n == 300
