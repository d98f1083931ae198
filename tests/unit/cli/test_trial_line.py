"""Tests that the line of a trial has its number and place, and fits into the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.text import Text

from lab.analysis.metrics.registry import METRICS
from lab.cli.trial_line import trial_line
from lab.report.trial_headline import HEADLINES, headline
from lab.results.schema.metric import MetricRow
from tests.factories.campaigns import BLANK

ROW = replace(
    BLANK, label="celery[prefork-with-a-long-name]@safe", workload="noop", arrival="paced",
    rate_hz=1_200.0, nodes=1, cores_per_node=2, workers=2,
    status="ok", flag="ok",
)  # fmt: skip


def line(width: int, **changes: Any) -> str:
    """Return the line as plain text."""
    markup = trial_line(
        replace(ROW, **changes), "wait p99 12.3 ms", "112/370", "0:12:07 left", width
    )
    return Text.from_markup(markup).plain


@pytest.mark.parametrize(
    ("width", "absent"),
    [
        (200, ()),
        (120, ()),
        (80, ("cores",)),
        (60, ("cores", "left")),
        (50, ("cores", "left", "paced")),
        (45, ("cores", "left", "paced")),
    ],
)
def test_columns_are_dropped_until_the_line_fits(width: int, absent: tuple[str, ...]) -> None:
    """The label, the number and the place remain; nothing wraps."""
    shown = line(width)
    assert len(shown) <= width
    assert "celery[prefork" in shown
    assert "wait p99 12.3 ms 112/370" in shown
    for word in ("cores", "left", "paced"):
        assert (word not in shown) == (word in absent)


@pytest.mark.parametrize("environment", ["3.13t", "celery==5.5.3"])
def test_a_short_line_still_has_the_environment(environment: str) -> None:
    """Trials of one system in several environments differ in nothing else."""
    text = line(80, label="process-pool[forkserver+map]@default", environment=environment)
    assert f"… {environment} " in text.splitlines()[0]


def test_a_trial_that_does_not_count_has_its_reason_on_a_second_line() -> None:
    """The reason is complete: it is not cut to the width."""
    why = "other processes took 28.0 % of the CPUs of the workers"
    first, second = line(80, flag="disturbed", flag_reasons=why).splitlines()
    assert "12.3 ms" in first
    assert second == f"    disturbed: {why}"


def test_a_reason_has_words_and_no_name_of_the_method() -> None:
    """The words after the name have the same meaning."""
    _, why = line(
        80, flag="disturbed", flag_reasons="generator_limited: the sender was 7.49 ms late"
    ).splitlines()
    assert why == "    disturbed: the sender was 7.49 ms late"


def test_an_overloaded_trial_does_not_blame_the_machine() -> None:
    """The row has no other reason than the offered rate."""
    _, *whys = line(
        200, flag="disturbed", flag_reasons="generator_limited: achieved rate -8.0% off the plan",
        cpu_taken=0.01,
    ).splitlines()  # fmt: skip
    assert (
        " ".join(whys)
        .strip()
        .startswith("disturbed: achieved rate -8.0% off the plan; the machine was not busy")
    )


def test_a_fault_that_hit_nothing_is_not_taken_for_a_disturbance() -> None:
    """Both have a line."""
    missed = "The fault hit nothing: no process for child-kill."
    _, *whys = line(80, flag="disturbed", flag_reasons="busy", reason=missed).splitlines()
    assert whys == [f"    ok: {missed}", "    disturbed: busy"]
    _, why = line(80, status="failed", reason="Why.", flag_reasons="busy").splitlines()
    assert why == "    failed: Why."


def test_the_number_is_the_first_that_the_trial_has() -> None:
    """A short trial has no p99; a failed one has its status, and a bound its sign."""

    def metric(name: str, value: float | None, bound: str = "") -> MetricRow:
        return MetricRow("t", 1, name, value, bound, "s", 20, "", 1)

    waits = [metric("queue_latency_s_p99", None), metric("queue_latency_s_p50", 0.0123, ">")]
    assert headline(ROW, [*waits, metric("throughput_per_s", 1_234.0)]) == "wait p50 >12.3 ms"
    assert headline(ROW, [metric("throughput_per_s", 1_234.0)]) == "1,230 tasks/s"
    assert headline(ROW, []) == "no number"
    assert headline(replace(ROW, status="failed"), waits) == "failed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "530 ok"),
        ({"n_lost": 4, "n_duplicated": 2}, "4 lost"),
        ({"n_duplicated": 2, "n_unknown": 12}, "2 twice"),
        ({"n_unknown": 1_012, "n_done": 0}, "1,012 unknown"),
        ({"n_re_executed": 3}, "3 recovered"),
        ({"n_done": 520}, "10 refused"),
        ({"n_hits": 0}, "not hit"),
        ({"n_hits": 0, "n_lost": 1}, "1 lost"),
        ({"n_hits": 0, "fault": "none"}, "530 ok"),
        ({"status": "failed", "n_lost": 4}, "failed"),
        ({"n_lost": None}, "530 ok"),
    ],
)
def test_a_trial_with_a_fault_ends_in_what_became_of_its_tasks(
    changes: dict[str, Any], words: str
) -> None:
    """The worst result, as in the matrix of the page; a wait would be that of the outage."""
    trial = replace(ROW, fault="worker-kill", n_sent=530, n_done=530, n_hits=1)
    wait = MetricRow("t", 1, "queue_latency_s_p99", 31.0, "", "s", 530, "", 1)
    assert headline(replace(trial, **changes), [wait]) == words


@pytest.mark.parametrize(
    ("missed", "doubled", "words"),
    [(0.0, 0.0, "60 runs ok"), (3.0, 1.0, "3 runs missed"), (0.0, 1.0, "1 run doubled")],
)
def test_a_job_under_a_fault_ends_in_its_runs(missed: float, doubled: float, words: str) -> None:
    """A scheduled job has runs in place of tasks."""
    counts = {"missed": missed, "doubled": doubled, "lateness_s_max": 1.0}
    rows = [MetricRow("t", 1, name, value, "", "1", 60, "", 1) for name, value in counts.items()]
    trial = replace(ROW, fault="scheduler-kill", arrival="periodic", n_hits=1)
    assert headline(trial, rows) == words


def test_every_headline_is_a_metric() -> None:
    """A renamed metric would leave its trials with `no number`."""
    assert HEADLINES.keys() <= METRICS.keys()


@pytest.mark.parametrize(
    ("schedule", "cell"),
    [("1 job every 1 s", "noop every 1 s"), ("1 job at * * * * *", "noop * * * * *"),
     ("100 jobs at * * * * *", "noop 100 jobs a…")],
)  # fmt: skip
def test_the_period_of_a_schedule_fits(schedule: str, cell: str) -> None:
    """It is what distinguishes the trials of a scheduler."""
    text = line(80, arrival="periodic", rate_hz=None, schedule=schedule)
    assert f" {cell} " in text.splitlines()[0]
