"""The checker: verdicts, the generator's self-check, and the operational laws."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lab.checker import (
    Finding,
    counts,
    cpu_check,
    cross_checks,
    generator_check,
    negative_durations,
    verdicts,
)
from lab.model import Burst, Flag, Paced, RoundTrip, Verdict
from lab.tables import SampleRow, SubmitRow, TaskRow, VerdictRow

BIG = 2**62 + 1  # a checksum that a float would round
MS = 1_000_000
LEDGER_TYPES = dict.fromkeys(
    ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns", "node", "answer"], "Int64"
)


def submit(task_id: int, ack: str = "ok", phase: str = "measure") -> SubmitRow:
    """Make one row of the driver's journal."""
    return SubmitRow("trial", task_id, phase, 0, 1, 2, ack)


def run(
    task_id: int, outcome: str = "ok", answer: int | None = BIG, phase: str = "measure"
) -> TaskRow:
    """Make one execution as `outcome` says; an unstarted one has no instants."""
    t3 = None if outcome == "unstarted" else 3
    t4 = None if outcome in {"unstarted", "unfinished"} else 4
    answer = answer if outcome == "ok" else None
    return TaskRow("trial", task_id, 1, phase, 0, 1, 2, t3, t4, None, 0, "1:1", outcome, answer)


def tables(submits: list[SubmitRow], runs: list[TaskRow]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the two tables as the store would give them, executions first."""
    # Object first: beside a null, pandas would make floats of checksums and round them.
    tasks = pd.DataFrame(runs, columns=[f.name for f in fields(TaskRow)], dtype="object")
    return tasks.astype({"task_id": "int64", "outcome": "str", **LEDGER_TYPES}), pd.DataFrame(
        submits, columns=[f.name for f in fields(SubmitRow)]
    )


@pytest.mark.parametrize(
    ("ack", "runs", "verdict"),
    [
        ("ok", [run(7)], Verdict.OK),
        ("ok", [], Verdict.LOST),
        ("ok", [run(7, "unstarted")], Verdict.LOST),
        ("ok", [run(7, "unfinished")], Verdict.PARTIAL),
        ("ok", [run(7, "raised")], Verdict.FAILED),
        ("ok", [run(7, "cancelled")], Verdict.FAILED),
        ("ok", [run(7), run(7)], Verdict.DUPLICATED),
        ("ok", [run(7, answer=BIG + 1)], Verdict.CORRUPTED),
        ("ok", [run(7, answer=None)], Verdict.CORRUPTED),
        ("error", [run(7)], Verdict.RECOVERED),
        ("unknown", [run(7)], Verdict.RECOVERED),
        ("error", [], Verdict.REFUSED),
        ("unknown", [run(7, "unstarted")], Verdict.REFUSED),
        # Redelivered after a worker was killed: it was done once.
        ("ok", [run(7, "unfinished"), run(7)], Verdict.OK),
        # Two classes fit: correctness first.
        ("ok", [run(7, answer=1), run(7)], Verdict.CORRUPTED),
        ("error", [run(7, answer=1)], Verdict.CORRUPTED),
        ("ok", [run(7, "raised"), run(7, "raised")], Verdict.FAILED),
        ("error", [run(7, "raised")], Verdict.FAILED),
        ("ok", [run(7, "raised"), run(7)], Verdict.DUPLICATED),
        ("error", [run(7), run(7)], Verdict.DUPLICATED),
        ("error", [run(7, "unfinished")], Verdict.PARTIAL),
    ],
)
def test_each_class_is_told_from_ledger_and_intents(
    ack: str, runs: list[TaskRow], verdict: Verdict
) -> None:
    """Every combination of acknowledgement and executions has one class, in a fixed order."""
    table = verdicts(*tables([submit(7, ack)], runs), {7: BIG})
    assert table["verdict"].tolist() == [verdict]
    assert counts(table) == {v: int(v == verdict) for v in Verdict}


def test_a_phantom_is_in_no_submit_row_of_any_phase() -> None:
    """Tasks of the warm-up are no phantoms, and no tasks of the window either."""
    submits = [submit(1, phase="verify"), submit(2, phase="warm_up"), submit(3)]
    runs = [run(1, phase="verify"), run(2, phase="warm_up", answer=0), run(3), run(9, phase="")]
    table = verdicts(*tables(submits, runs), {3: BIG})
    assert dict(zip(table["task_id"], table["verdict"], strict=True)) == {3: "ok", 9: "phantom"}
    assert list(table.columns) == [f.name for f in fields(VerdictRow)]


def test_starts_and_completions_are_counted_apart() -> None:
    """A restart that never finished is a start and no completion."""
    runs = [run(1), run(1, "unfinished"), run(1), run(2, "unstarted")]
    table = verdicts(*tables([submit(1), submit(2)], runs), {1: BIG, 2: BIG})
    assert table[["starts", "completions"]].to_numpy().tolist() == [[3, 2], [0, 0]]
    assert table["starts"].dtype == "int64"


def test_a_trial_that_left_nothing_has_no_verdicts() -> None:
    """Empty tables are read without a complaint, with or without offers."""
    assert sum(counts(verdicts(*tables([], []), {})).values()) == 0
    assert counts(verdicts(*tables([submit(1)], []), {1: 0}))[Verdict.LOST] == 1
    assert counts(verdicts(*tables([], [run(1)]), {}))[Verdict.PHANTOM] == 1


def test_negative_durations_are_those_that_causality_forbids() -> None:
    """Four durations cannot be negative; a start before submit returned can."""
    tasks, _ = tables([], [run(1), run(2, "unstarted"), run(3), run(4), run(5), run(6)])
    assert negative_durations(tasks) == 0
    tasks.loc[0, "t2_ns"] = 99
    assert negative_durations(tasks) == 0
    for row, (column, value) in enumerate(
        {"t1_ns": -1, "t2_ns": 0, "t3_ns": 0, "t4_ns": 2}.items(), start=2
    ):
        tasks.loc[row, column] = value
    assert negative_durations(tasks) == 4


# The generator. ------------------------------------------------------------------------------


def sends(t0_s: NDArray[np.float64], call_s: float, jitter_s: float = 0.0) -> pd.DataFrame:
    """Simulate one submitter that keeps a plan as well as it can: a call lasts `call_s`."""
    rng = np.random.default_rng(3)
    t1_s, free = np.empty_like(t0_s), 0.0
    for i, (instant, late) in enumerate(
        zip(t0_s, rng.uniform(0, jitter_s, len(t0_s)), strict=True)
    ):
        t1_s[i] = max(instant + late, free)
        free = t1_s[i] + call_s
    return journal(t0_s, t1_s, t1_s + call_s)


def journal(*instants_s: NDArray[np.float64]) -> pd.DataFrame:
    """Make the submit table of a window from t0, t1 and t2 in seconds."""
    t0, t1, t2 = ((1e9 * instant).astype("int64") for instant in instants_s)
    ids = np.arange(len(t0))
    rows = pd.DataFrame({"task_id": ids, "t0_ns": t0, "t1_ns": t1, "t2_ns": t2})
    return rows.assign(phase="measure", ack="ok").astype({"t1_ns": "Int64", "t2_ns": "Int64"})


def poisson(rate_hz: float, n: int, seed: int = 1) -> NDArray[np.float64]:
    """Make the instants of a Poisson plan in seconds."""
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate_hz, n))


def flags(findings: list[Finding]) -> list[Flag]:
    """The flags alone."""
    return [finding.flag for finding in findings]


@pytest.mark.parametrize("n", [300, 6_000])
@pytest.mark.parametrize("call_s", [1e-5, 5e-4])
def test_a_generator_that_keeps_its_plan_is_not_accused(call_s: float, n: int) -> None:
    """Neither the chance in the plan nor calls that follow each other count against it."""
    accused = [
        finding
        for seed in range(40)
        for finding in generator_check(
            sends(poisson(200, n, seed), call_s, 2e-4), Paced(n, 200.0), 0.1
        )
    ]
    assert len(accused) <= 2  # of 40 tests of gaps at p 0.01
    assert all("exponential" in finding.reason for finding in accused)


def test_the_submitter_s_short_gaps_are_why_gaps_are_tested_beyond_its_dead_time() -> None:
    """The plain test of all gaps would accuse the sound generator above."""
    from scipy import stats

    t1 = sends(poisson(200, 20_000), 5e-4, 2e-4)["t1_ns"].to_numpy("int64")
    assert stats.kstest(np.diff(t1) / 1e9, "expon", args=(0, 1 / 200)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [(1.0, []), (1.01, []), (1.03, [Flag.NOISY]), (1.2, [Flag.INVALID]), (0.9, [Flag.INVALID])],
)
def test_the_rate_is_held_against_the_plan(stretch: float, expected: list[Flag]) -> None:
    """2 % off is noisy, 5 % is invalid; the lag that goes with it is not judged here."""
    t0 = np.arange(1, 1_001) / 100
    found = generator_check(
        journal(t0, stretch * t0, stretch * t0 + 1e-5), Paced(1_000, 100.0, "uniform"), 1e3
    )
    assert flags(found) == expected


def test_tasks_never_sent_make_the_rate_wrong() -> None:
    """A driver that died half way offered half the rate."""
    found = generator_check(sends(poisson(100, 500), 1e-5), Paced(1_000, 100.0))
    assert (Flag.INVALID, True) in [(f.flag, "rate -50" in f.reason) for f in found]


def test_a_busy_submitter_and_its_lag_are_told() -> None:
    """At 45 % a call queues behind another; a long latency forgives the lag, not the load."""
    busy = sends(np.arange(1, 2_001) / 100, 4.5e-3)
    load, lag = "submitter 45% busy", "p99 lag"
    uniform = Paced(2_000, 100.0, "uniform")
    assert [load in f.reason for f in generator_check(busy, uniform)] == [True]
    queued = sends(poisson(100, 2_000), 4.5e-3)
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0))]
    assert [name in reason for name, reason in zip((load, lag), reasons, strict=True)] == [True] * 2
    reasons = [f.reason for f in generator_check(queued, Paced(2_000, 100.0), 10.0)]
    assert [load in reason for reason in reasons] == [True]


def test_sends_that_are_not_poisson_are_told() -> None:
    """Even gaps under a plan that says Poisson fail the test; under one that says even, not."""
    even = sends(np.arange(1, 2_001) / 100, 1e-5)
    found = generator_check(even, Paced(2_000, 100.0))
    assert flags(found) == [Flag.NOISY]
    assert "not exponential" in found[0].reason
    assert generator_check(even, Paced(2_000, 100.0, "uniform")) == []


@pytest.mark.parametrize("arrival", [Burst(9), RoundTrip(9), Paced(9, 1.0)])
def test_without_a_plan_or_a_send_there_is_nothing_to_find(
    arrival: Burst | RoundTrip | Paced,
) -> None:
    """Bursts and round trips have no plan; an empty window has no sends."""
    window = sends(poisson(1, 9), 0.5, 0.5)
    empty = isinstance(arrival, Paced)
    assert generator_check(window[:0] if empty else window, arrival) == []


# Operational laws. ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """A simulated queue: its tables, and how long a reading of its length took at most."""

    tasks: pd.DataFrame
    submits: pd.DataFrame
    samples: pd.DataFrame
    workers: int


def queue(seed: int, n: int, load: float, workers: int = 2, every_s: float = 0.05) -> Queue:
    """Simulate FIFO workers of mean service 20 ms, and a sampler that takes up to 3 ms to look."""
    rng = np.random.default_rng(seed)
    t1 = np.cumsum(rng.exponential(0.02 / workers / load, n))
    free = [0.0] * workers
    t3, t4 = np.empty(n), np.empty(n)
    for i, service in enumerate(rng.exponential(0.02, n)):
        t3[i] = max(t1[i], heapq.heappop(free))
        t4[i] = t3[i] + service
        heapq.heappush(free, t4[i])
    submits = journal(t1, t1, t1 + 2e-4)
    tasks = submits.drop(columns="ack").assign(t3_ns=(1e9 * t3).astype("int64"), outcome="ok")
    tasks["t4_ns"] = pd.array((1e9 * t4).astype("int64"), dtype="Int64")
    at = np.arange(0.01, t4.max(), every_s)
    accepted = np.searchsorted(t1 + 2e-4, at, side="right")
    left = np.searchsorted(np.sort(t4), at + rng.uniform(0, 3e-3, len(at)), side="right")
    return Queue(tasks, submits, readings(at, accepted - left), workers)


def readings(at_s: NDArray[np.float64], counted: NDArray[np.int64]) -> pd.DataFrame:
    """Make the sample table of the ledger's count, beside a row of something else."""
    rows = [
        SampleRow("trial", int(t * 1e9), "ledger", "in_system", float(n), "tasks")
        for t, n in zip(at_s, counted, strict=True)
    ]
    return pd.DataFrame([*rows, SampleRow("trial", 0, "host", "cpu", 99.0, "s")])


Break = Callable[[pd.DataFrame], pd.DataFrame]
TENTH = np.arange(100_000) % 10 == 4


def drop_rows(tasks: pd.DataFrame) -> pd.DataFrame:
    """Leave out every tenth row."""
    return pd.DataFrame(tasks[~TENTH[: len(tasks)]])


def drop_finishes(tasks: pd.DataFrame) -> pd.DataFrame:
    """Leave out the finish of every tenth row."""
    return tasks.assign(t4_ns=tasks["t4_ns"].mask(TENTH[: len(tasks)]))


@pytest.mark.parametrize("load", [0.05, 0.5, 0.9, 3.0])
@pytest.mark.parametrize("n", [5, 100, 2_000])
def test_a_sound_recorder_is_not_accused(n: int, load: float) -> None:
    """Light, heavy and overloaded, short and long: at most 1 of 100 looks wrong by chance."""
    trials = 4 if n > 1_000 else 20
    accused = []
    for seed in range(trials):
        sound = queue(seed, n, load)
        accused += cross_checks(sound.tasks, sound.submits, sound.samples, sound.workers)
    assert not accused[trials // 20 :]


def test_a_few_readings_of_a_sound_queue_may_be_far_from_the_mean_over_time() -> None:
    """This is why the rows are read at the instants of the samples: five readings mislead."""
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
def test_a_recorder_that_drops_a_tenth_is_caught(breaking: Break, n: int, load: float) -> None:
    """METHOD M13: rows that are missing make Little's law fail, in every trial."""
    for seed in range(4):
        sound = queue(seed, n, load)
        found = cross_checks(breaking(sound.tasks), sound.submits, sound.samples, sound.workers)
        assert flags(found) == [Flag.INVALID]
        assert "inconsistent: Little's law" in found[0].reason


def test_a_batch_accepted_in_one_long_call_is_consistent() -> None:
    """While the call lasts nothing is accepted yet and tasks finish: the count is below zero."""
    n = 400
    finish = np.linspace(0.1, 4.0, n)
    zero = np.zeros(n)
    submits = journal(zero, zero, zero + 2.0)
    tasks = submits.assign(
        t3_ns=(1e9 * (finish - 0.0097)).astype("int64"), t4_ns=(1e9 * finish).astype("int64")
    )
    at = np.arange(0.02, 4.0, 0.05)
    counted = n * (at >= 2.0) - np.searchsorted(finish, at, side="right")
    assert counted.min() < 0
    assert cross_checks(tasks, submits, readings(at, counted), 1) == []


def test_refused_tasks_are_not_in_the_system() -> None:
    """What the system did not accept is not waited for, by the count or by the rows."""
    sound = queue(1, 500, 0.7)
    refused = sound.submits.assign(
        task_id=sound.submits["task_id"] + 1_000, ack="error", t1_ns=0, t2_ns=1
    )
    both = pd.concat([sound.submits, refused])
    assert cross_checks(sound.tasks, both, sound.samples, sound.workers) == []
    found = cross_checks(sound.tasks, both.assign(ack="ok"), sound.samples, sound.workers)
    assert flags(found) == [Flag.INVALID]


def test_more_tasks_at_once_than_worker_slots_is_impossible() -> None:
    """Two workers that were busy as one claims is a ledger that is wrong."""
    sound = queue(2, 500, 3.0, workers=2)
    found = cross_checks(sound.tasks, sound.submits, sound.samples, 1)
    assert [f.reason for f in found if f.flag is Flag.INVALID] == [
        "inconsistent: 2.00 tasks ran at once on 1 worker slots"
    ]


def test_without_rows_or_readings_nothing_is_claimed() -> None:
    """An empty trial is not inconsistent with itself."""
    sound = queue(3, 50, 0.5)
    nothing = cross_checks(sound.tasks[:0], sound.submits[:0], sound.samples[:0], 1)
    unread = cross_checks(sound.tasks, sound.submits, sound.samples[:2], 2)
    assert nothing == unread == []


@pytest.mark.parametrize(("cpu_ns", "n"), [(2 * MS, 0), (int(2.09 * MS), 0), (int(2.2 * MS), 1)])
def test_cpu_time_is_bounded_by_the_cpus(cpu_ns: int, n: int) -> None:
    """Two CPUs cannot work for more than twice the window, give or take 5 %."""
    assert flags(cpu_check(cpu_ns, 2, MS)) == [Flag.INVALID] * n


def test_no_reason_breaks_the_list_of_reasons() -> None:
    """Reasons are joined by semicolons in the trial's row, so none may hold one."""
    late = journal(poisson(10, 99), poisson(1, 99), poisson(1, 99) + 0.5)
    found: Mapping[str, list[Finding]] = {
        "generator": generator_check(late, Paced(99, 10.0)),
        "laws": cross_checks(queue(2, 500, 3.0).tasks, late, queue(2, 500, 3.0).samples, 1),
        "cpu": cpu_check(9, 1, 1),
    }
    assert all(found.values())
    assert not [f for group in found.values() for f in group if ";" in f.reason]
