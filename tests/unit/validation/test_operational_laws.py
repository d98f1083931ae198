"""Tests the checks of the ledger by operational laws and independent counts (METHOD M13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lab.core.model import Flag
from lab.results.schema.task import SampleRow
from lab.validation.issue import Issue
from lab.validation.operational_laws import cpu_check, cross_checks
from tests.factories.simulated import Instants, journal, poisson, serve, window


def flags(findings: list[Issue]) -> list[Flag]:
    """Return the flags of the findings."""
    return [finding.flag for finding in findings]


@dataclass(frozen=True)
class Queue:
    """A simulated queue: its tables and its number of workers."""

    tasks: pd.DataFrame
    submits: pd.DataFrame
    samples: pd.DataFrame
    workers: int


def queue(seed: int, n: int, load: float, workers: int = 2, every_s: float = 0.05) -> Queue:
    """Simulate FIFO workers with 20 ms mean service, and a sampler with up to 3 ms per reading."""
    rng = np.random.default_rng(seed)
    t1 = poisson(rng, load * workers / 0.02, n)
    service = rng.exponential(0.02, n)
    t4 = serve(t1, service, workers)
    tasks = window(t1, t4, service).assign(phase="measure").astype({"t4_ns": "Int64"})
    at = np.arange(0.01, t4.max(), every_s)
    accepted = np.searchsorted(t1 + 2e-4, at, side="right")
    left = np.searchsorted(np.sort(t4), at + rng.uniform(0, 3e-3, len(at)), side="right")
    return Queue(tasks, journal(t1, t1, t1 + 2e-4), readings(at, accepted - left), workers)


def readings(at_s: Instants, counted: NDArray[np.int64]) -> pd.DataFrame:
    """Return a sample table with the ledger's counts and one unrelated row."""
    rows = [
        SampleRow("trial", int(t * 1e9), "ledger", "in_system", float(n), "tasks")
        for t, n in zip(at_s, counted, strict=True)
    ]
    return pd.DataFrame([*rows, SampleRow("trial", 0, "host", "cpu", 99.0, "s")])


Break = Callable[[pd.DataFrame], pd.DataFrame]
TENTH = np.arange(100_000) % 10 == 4


def drop_rows(tasks: pd.DataFrame) -> pd.DataFrame:
    """Remove every tenth row."""
    return pd.DataFrame(tasks[~TENTH[: len(tasks)]])


def drop_finishes(tasks: pd.DataFrame) -> pd.DataFrame:
    """Remove the finish of every tenth row."""
    return tasks.assign(t4_ns=tasks["t4_ns"].mask(TENTH[: len(tasks)]))


@pytest.mark.parametrize("load", [0.05, 0.5, 0.9, 3.0])
@pytest.mark.parametrize("n", [5, 100, 2_000])
def test_a_correct_ledger_passes_the_checks(n: int, load: float) -> None:
    """At any load and length at most one of 20 trials has a finding by chance."""
    trials = 4 if n > 1_000 else 20
    findings = []
    for seed in range(trials):
        sound = queue(seed, n, load)
        findings += cross_checks(sound.tasks, sound.submits, sound.samples, sound.workers)
    assert not findings[trials // 20 :]


def test_the_mean_of_few_readings_may_be_far_from_the_mean_over_time() -> None:
    """For this reason the rows are evaluated at the instants of the readings."""
    worst = 0.0
    for seed in range(20):
        sound = queue(seed, 300, 0.8, every_s=0.5)
        counted = sound.samples.loc[sound.samples["source"] == "ledger", "value"]
        stay_s = float((sound.tasks["t4_ns"] - sound.tasks["t1_ns"]).sum()) / 1e9
        law = stay_s / (float(sound.tasks["t4_ns"].max()) / 1e9)
        worst = max(worst, abs(float(counted.mean()) / law - 1))
        assert cross_checks(sound.tasks, sound.submits, sound.samples, sound.workers) == []
    assert worst > 0.25


@pytest.mark.parametrize("breaking", [drop_rows, drop_finishes])
@pytest.mark.parametrize(("n", "load"), [(200, 0.3), (2_000, 0.8), (1_000, 3.0)])
def test_a_ledger_without_every_tenth_record_fails(breaking: Break, n: int, load: float) -> None:
    """Missing rows violate Little's law in every trial (METHOD M13)."""
    for seed in range(4):
        sound = queue(seed, n, load)
        findings = cross_checks(breaking(sound.tasks), sound.submits, sound.samples, sound.workers)
        assert flags(findings) == [Flag.INVALID]
        assert "inconsistent: Little's law" in findings[0].reason
        assert ";" not in findings[0].reason  # semicolons join the reasons in the trial's row


def test_a_batch_that_finishes_during_its_submit_call_is_consistent() -> None:
    """Tasks finish before the call has acknowledged them, so the count is below zero."""
    n = 400
    finish = np.linspace(0.1, 4.0, n)
    zero = np.zeros(n)
    submits = journal(zero, zero, zero + 2.0)
    tasks = window(zero, finish, 0.0097).assign(phase="measure")
    at = np.arange(0.02, 4.0, 0.05)
    counted = n * (at >= 2.0) - np.searchsorted(finish, at, side="right")
    assert counted.min() < 0
    assert cross_checks(tasks, submits, readings(at, counted), 1) == []


def test_tasks_that_finish_twice_are_consistent() -> None:
    """After duplicates more executions have finished than tasks were accepted: the count is 0."""
    sound = queue(3, 500, 0.5)
    again = sound.tasks.iloc[:50]
    tasks = pd.concat([sound.tasks, again])
    at, value = sound.samples["t_ns"], sound.samples["value"]
    extra = np.searchsorted(np.sort(again["t4_ns"].to_numpy("int64")), at, side="right")
    is_count = sound.samples["source"] == "ledger"
    counted = value.where(~is_count, (value - extra).clip(0))
    samples = sound.samples.assign(value=counted)
    assert (counted[is_count] == 0).mean() > 0.9
    assert cross_checks(tasks, sound.submits, samples, 2) == []


def test_refused_tasks_are_not_in_the_system() -> None:
    """Neither the count nor the rows include tasks that were not acknowledged."""
    sound = queue(1, 500, 0.7)
    refused = sound.submits.assign(
        task_id=sound.submits["task_id"] + 1_000, ack="error", t1_ns=0, t2_ns=1
    )
    both = pd.concat([sound.submits, refused])
    assert cross_checks(sound.tasks, both, sound.samples, sound.workers) == []
    findings = cross_checks(sound.tasks, both.assign(ack="ok"), sound.samples, sound.workers)
    assert flags(findings) == [Flag.INVALID]


def test_more_running_tasks_than_worker_slots_are_inconsistent() -> None:
    """A ledger with two running tasks on one slot is wrong."""
    sound = queue(2, 500, 3.0, workers=2)
    findings = cross_checks(sound.tasks, sound.submits, sound.samples, 1)
    assert [f.reason for f in findings if f.flag is Flag.INVALID] == [
        "inconsistent: 2.00 tasks ran at once on 1 worker slots"
    ]


def test_without_rows_or_readings_there_are_no_findings() -> None:
    """An empty trial is not inconsistent."""
    sound = queue(3, 50, 0.5)
    nothing = cross_checks(sound.tasks[:0], sound.submits[:0], sound.samples[:0], 1)
    unread = cross_checks(sound.tasks, sound.submits, sound.samples[:2], 2)
    assert nothing == unread == []


@pytest.mark.parametrize(("cpu_ns", "n"), [(2_000_000, 0), (int(2.09e6), 0), (int(2.2e6), 1)])
def test_cpu_time_is_bounded_by_the_cpus(cpu_ns: int, n: int) -> None:
    """Two CPUs cannot use more CPU time than twice the window, with a tolerance of 5 %."""
    assert flags(cpu_check(cpu_ns, 2, 1_000_000)) == [Flag.INVALID] * n
