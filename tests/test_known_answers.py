"""The known-answer tests of METHOD section 4 that need no real system: KAT-1 to KAT-7, KAT-10.

Systems here are simulated event by event, on a clock of their own; the numbers come from the
lab's own metrics, estimates and checker.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lab.checker import counts, verdicts
from lab.measures import durations, one_row_a_task
from lab.metrics import trial_metrics
from lab.model import Ack, Estimate, Verdict
from lab.statistics import RefusedError, interval, paired_ratio, percentile
from lab.tables import TrialRow

Instants = NDArray[np.float64]
S = 1_000_000_000


def window(t0: Instants, t3: Instants, t4: Instants, t1: Instants | None = None) -> pd.DataFrame:
    """Make the executions of a window from instants in seconds; sent at `t1`, or as intended."""
    sent = t0 if t1 is None else t1
    given = {"t0_ns": t0, "t1_ns": sent, "t2_ns": sent, "t3_ns": t3, "t4_ns": t4}
    rows = {name: np.rint(1e9 * instants).astype("int64") for name, instants in given.items()}
    tasks = pd.DataFrame({"task_id": np.arange(len(t0)), "outcome": "ok", **rows})
    return tasks.assign(t5_ns=pd.array([pd.NA] * len(t0), dtype="Int64"))


def paced(tasks: pd.DataFrame) -> TrialRow:
    """Make what metrics read of the row of a paced trial in which nothing was lost."""
    end_ns = int(tasks["t4_ns"].max())
    row = SimpleNamespace(
        trial_id="t", attempt=1, arrival="paced", workers=1, nominal_ns=0, services="",
        n_sent=len(tasks), n_lost=0, n_partial=0, t_end_ns=end_ns, status="ok", flag="ok",
        cpu_driver_ns=None, cpu_services_ns=None, cpu_workers_ns=None,
    )  # fmt: skip
    return cast(TrialRow, row)


def told(tasks: pd.DataFrame) -> dict[str, float]:
    """Compute the lab's metrics of a paced trial, without the refused ones."""
    rows = trial_metrics(paced(tasks), tasks)
    return {row.metric: row.value for row in rows if row.value is not None}


def end_to_end(tasks: pd.DataFrame) -> Instants:
    """Return t4 - t0 in seconds as the lab's metrics see it."""
    return durations(paced(tasks), one_row_a_task(tasks), "t0_ns", "t4_ns")[0]


def poisson(rng: np.random.Generator, rate_hz: float, n: int) -> Instants:
    """Make the instants of a Poisson plan in seconds."""
    return np.cumsum(rng.exponential(1 / rate_hz, n))


# KAT-1: a server that freezes for the second half of 200 s. -------------------------------------

LENGTH_S, GAP_S, SERVICE_S = 200.0, 0.01, 0.001


def answered(sent: float) -> float:
    """Return when the stub answers what was sent: after 1 ms, or 1 ms after the freeze."""
    return (LENGTH_S if sent >= LENGTH_S / 2 else sent) + SERVICE_S


@pytest.fixture(scope="module")
def open_loop() -> pd.DataFrame:
    """Offer 100 requests a second for 200 s as planned, whatever the stub does."""
    t0 = np.arange(0, LENGTH_S, GAP_S)
    t4 = np.array([answered(sent) for sent in t0])
    return window(t0, t4 - SERVICE_S, t4)


@pytest.fixture(scope="module")
def closed_loop() -> pd.DataFrame:
    """Offer as one client does that waits for each answer and takes the send for the start."""
    sent, t4, now = [], [], 0.0
    for intended in np.arange(0, LENGTH_S, GAP_S):
        now = max(now, float(intended))
        if now >= LENGTH_S:
            break
        sent.append(now)
        now = answered(now)
        t4.append(now)
    return window(np.array(sent), np.array(t4) - SERVICE_S, np.array(t4))


def test_kat_1_latency_from_the_intended_start_shows_the_freeze(open_loop: pd.DataFrame) -> None:
    """Mean T/8, p75 T/4, p99 0.49 T: the truth of METHOD section 0, row 3."""
    found, latency = told(open_loop), end_to_end(open_loop)
    assert found["end_to_end_s_mean"] == pytest.approx(LENGTH_S / 8, rel=1e-3)
    assert percentile(latency, 75).value == pytest.approx(LENGTH_S / 4, rel=1e-3)
    assert found["end_to_end_s_p99"] == pytest.approx(0.49 * LENGTH_S, rel=1e-3)
    assert found["service_s_p50"] == pytest.approx(SERVICE_S)


def test_kat_1_a_closed_loop_recorder_hides_it(closed_loop: pd.DataFrame) -> None:
    """The same stub looks like 1 ms at p99 and p99.99, and like 11 ms in the mean."""
    found, latency = told(closed_loop), end_to_end(closed_loop)
    assert found["end_to_end_s_p99"] == pytest.approx(SERVICE_S)
    assert found["end_to_end_s_mean"] == pytest.approx(0.011, abs=1e-4)
    assert np.percentile(latency, 99.99, method="inverted_cdf") == pytest.approx(SERVICE_S)
    assert latency.max() == pytest.approx(LENGTH_S / 2, rel=1e-3)
    with pytest.raises(RefusedError, match="needs 66381 tasks"):
        percentile(latency, 99.99)


def test_kat_1_the_known_correction_leads_back_to_the_intended_start(
    closed_loop: pd.DataFrame,
) -> None:
    """HdrHistogram's `record_corrected_value` adds the requests that the client did not send.

    For each latency above the expected gap it records latency - gap, latency - 2 gap, ... too.
    """
    latency = end_to_end(closed_loop)
    unsent = [np.arange(value - GAP_S, GAP_S, -GAP_S) for value in latency[latency > GAP_S]]
    corrected = np.concatenate([latency, *unsent])
    assert corrected.mean() == pytest.approx(LENGTH_S / 8, rel=2e-3)
    assert percentile(corrected, 75).value == pytest.approx(LENGTH_S / 4, rel=2e-3)
    assert percentile(corrected, 99).value == pytest.approx(0.49 * LENGTH_S, rel=2e-3)


# KAT-2: a server that freezes for 0.2 s of every 2 s. -------------------------------------------


def test_kat_2_short_freezes_have_the_tail_of_the_formula() -> None:
    """P(L > x) = (0.2 - x) / 2: p95 0.100, p99 0.180, p99.9 0.198 s, to 2 ms."""
    t0 = poisson(np.random.default_rng(2), 500, 400_000)
    into = t0 % 2
    t4 = t0 + np.where(into < 0.2, 0.2 - into, 0)
    tasks = window(t0, t4, t4)
    found = told(tasks)
    assert found["end_to_end_s_p95"] == pytest.approx(0.100, abs=2e-3)
    assert found["end_to_end_s_p99"] == pytest.approx(0.180, abs=2e-3)
    assert percentile(end_to_end(tasks), 99.9).value == pytest.approx(0.198, abs=2e-3)
    assert found["end_to_end_s_p50"] == 0


# KAT-3 and KAT-4: queues whose mean wait is known. ----------------------------------------------


def one_worker(t0: Instants, service: Instants) -> pd.DataFrame:
    """Serve in order with one worker: ``t4_i = max(t0_i, t4_{i-1}) + S_i``, without the loop."""
    work = np.cumsum(service)
    t4 = work + np.maximum.accumulate(t0 - (work - service))
    return window(t0, t4 - service, t4)


@pytest.mark.parametrize(
    ("kind", "load", "wait"),
    [
        ("constant", 0.5, 0.5),
        ("constant", 0.8, 2.0),
        ("constant", 0.9, 4.5),
        ("exponential", 0.5, 1.0),
        ("exponential", 0.8, 4.0),
        ("exponential", 0.9, 9.0),
    ],
)
def test_kat_3_one_worker_waits_as_pollaczek_and_khinchine_say(
    kind: str, load: float, wait: float
) -> None:
    """The mean wait is lambda E[S^2] / (2 (1 - rho)), with S as measured.

    The tolerance is the simulation's own: at rho 0.9 waits stay alike for hundreds of tasks.
    """
    rng, n = np.random.default_rng(3), 400_000
    service = np.ones(n) if kind == "constant" else rng.exponential(1.0, n)
    t0 = poisson(rng, load, n)
    tasks = one_worker(t0, service)
    measured = durations(paced(tasks), one_row_a_task(tasks), "t3_ns", "t4_ns")[0]
    rate = n / float(t0[-1])
    formula = rate * (measured**2).mean() / (2 * (1 - rate * measured.mean()))
    found = told(tasks)["queue_latency_s_mean"]
    assert found == pytest.approx(formula, rel=0.05)
    assert found == pytest.approx(wait, rel=0.08)


def some_workers(t0: Instants, service: Instants, workers: int) -> pd.DataFrame:
    """Serve in order with several workers: the next task goes to the one that is free first."""
    free, t3 = [0.0] * workers, np.empty_like(t0)
    for i, (instant, work) in enumerate(zip(t0.tolist(), service.tolist(), strict=True)):
        start = max(instant, free[0])
        heapq.heapreplace(free, start + work)
        t3[i] = start
    return window(t0, t3, t3 + service)


@pytest.mark.parametrize(
    ("workers", "load", "wait"),
    [(2, 0.5, 0.333), (2, 0.8, 1.778), (4, 0.8, 0.746), (8, 0.8, 0.286), (8, 0.9, 0.877)],
)
def test_kat_4_several_workers_wait_as_erlang_says(workers: int, load: float, wait: float) -> None:
    """The mean wait in units of the mean service is Erlang's C formula."""
    rng, n = np.random.default_rng(4), 200_000
    t0, service = poisson(rng, load * workers, n), rng.exponential(1.0, n)
    tasks = some_workers(t0, service, workers)
    assert told(tasks)["queue_latency_s_mean"] == pytest.approx(wait, rel=0.06)


# KAT-5 and KAT-6: intervals that hold what they promise. ----------------------------------------

REPETITIONS = 800


def holds(estimate: Estimate, truth: float) -> bool:
    """Tell whether the interval contains the truth."""
    return (
        estimate.low is not None
        and estimate.high is not None
        and estimate.low <= truth <= estimate.high
    )


def test_kat_5_intervals_over_trials_cover_and_pooled_ones_do_not() -> None:
    """10 trials of 300 tasks, 3 % between and 30 % within: 95 % means 95 % of the truth.

    Pooling the tasks takes 3000 numbers for independent that share ten disturbances.
    """
    rng = np.random.default_rng(5)
    by_trial = pooled = 0
    for _ in range(REPETITIONS):
        means = rng.normal(1.0, 0.03, (10, 1))
        tasks = means * rng.normal(1.0, 0.30, (10, 300))
        by_trial += holds(interval(tasks.mean(axis=1).tolist()), 1.0)
        ignoring = tasks.ravel()
        error = ignoring.std(ddof=1) / np.sqrt(ignoring.size)
        pooled += abs(ignoring.mean() - 1.0) <= 1.96 * error
    assert 0.93 <= by_trial / REPETITIONS <= 0.97
    assert pooled / REPETITIONS < 0.80


def test_kat_6_a_drifting_machine_does_not_part_two_equal_systems() -> None:
    """A/A, 10 blocks, 15 % drift, 2 % noise: pairs inside blocks err in 5 % of 800 experiments.

    Inside a block both run once, one after the other in random order (METHOD M3, M12). All of one
    and then all of the other would call two equal systems different nine times of ten.
    """
    rng, blocks = np.random.default_rng(6), 10
    drift = np.linspace(1.0, 1.15, 2 * blocks)
    paired = apart = 0
    for _ in range(REPETITIONS):
        times = drift * np.exp(rng.normal(0, 0.02, 2 * blocks))
        first = rng.integers(0, 2, blocks)
        in_blocks = times.reshape(blocks, 2)
        a, b = (in_blocks[np.arange(blocks), side].tolist() for side in (first, 1 - first))
        paired += not holds(paired_ratio(a, b), 1.0)
        apart += not holds(paired_ratio(times[:blocks].tolist(), times[blocks:].tolist()), 1.0)
    assert 0.03 <= paired / REPETITIONS <= 0.07
    assert apart / REPETITIONS > 0.90


# KAT-7: percentiles that the sample cannot support. ---------------------------------------------


@pytest.mark.parametrize(
    ("n", "supported"),
    [
        (10, set()),
        (11, {"p50"}),
        (63, {"p50"}),
        (64, {"p50", "p90"}),
        (129, {"p50", "p90"}),
        (130, {"p50", "p90", "p95"}),
        (661, {"p50", "p90", "p95"}),
        (662, {"p50", "p90", "p95", "p99"}),
    ],
)
def test_kat_7_a_percentile_below_its_floor_is_refused(n: int, supported: set[str]) -> None:
    """Of every latency exactly the percentiles of METHOD M11 are told; the others are rows."""
    t0 = np.arange(n) / 10
    tasks = window(t0, t0 + 0.1, t0 + 0.2)
    rows = {row.metric: row for row in trial_metrics(paced(tasks), tasks)}
    for name in ("queue_latency_s", "end_to_end_s"):
        told_of = {q for q in ("p50", "p90", "p95", "p99") if rows[f"{name}_{q}"].value is not None}
        assert told_of == supported
        refused = [rows[f"{name}_{q}"] for q in ("p50", "p90", "p95", "p99") if q not in told_of]
        assert all(row.is_valid == 0 and "METHOD M11" in row.method for row in refused)


# KAT-10: histories into which faults were put. --------------------------------------------------


@dataclass(frozen=True)
class Fate:
    """What is done to one task: acknowledgement, executions by outcome, and the class it has."""

    verdict: Verdict
    ack: str
    runs: tuple[str, ...]


UNSURE = st.sampled_from([Ack.ERROR, Ack.UNKNOWN])
ANY_ACK = st.sampled_from(list(Ack))
RESTARTS = st.lists(st.just("unfinished"), max_size=2).map(tuple)
NOT_RUN = st.sampled_from([(), ("unstarted",)])


def fates(
    verdict: Verdict,
    ack: st.SearchStrategy[Ack],
    runs: st.SearchStrategy[tuple[str, ...]],
    restarts: st.SearchStrategy[tuple[str, ...]] = RESTARTS,
) -> st.SearchStrategy[Fate]:
    """Make fates of one class; a worker may die over the task any number of times before."""
    return st.builds(
        lambda ack, killed, runs: Fate(verdict, ack, killed + runs), ack, restarts, runs
    )


ENDS = st.lists(st.sampled_from(["ok", "raised", "cancelled"]), min_size=2, max_size=4)
FATES = st.one_of(
    fates(Verdict.OK, st.just(Ack.OK), st.just(("ok",))),
    fates(Verdict.LOST, st.just(Ack.OK), NOT_RUN, st.just(())),
    fates(Verdict.REFUSED, UNSURE, NOT_RUN, st.just(())),
    fates(Verdict.RECOVERED, UNSURE, st.just(("ok",))),
    fates(Verdict.PARTIAL, ANY_ACK, st.just(("unfinished",))),
    fates(Verdict.FAILED, ANY_ACK, st.sampled_from([("raised",), ("raised", "cancelled")])),
    fates(Verdict.DUPLICATED, ANY_ACK, ENDS.filter(lambda ends: "ok" in ends).map(tuple)),
    fates(
        Verdict.CORRUPTED,
        ANY_ACK,
        st.sampled_from([("wrong",), ("wrong", "ok"), ("ok", "wrong"), ("raised", "wrong")]),
    ),
    # An id that nobody offered has no acknowledgement; it may or may not finish.
    fates(Verdict.PHANTOM, st.just(Ack.OK), st.sampled_from([("ok",), ("unfinished",)])),
)


def history(
    fates_by_id: dict[int, Fate], before: list[int]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Make executions and offers in the order of ids, with `before` as tasks of the warm-up."""
    offers: list[dict[str, object]] = [
        {"task_id": i, "phase": "measure", "ack": str(fate.ack)}
        for i, fate in fates_by_id.items()
        if fate.verdict is not Verdict.PHANTOM
    ]
    offers += [{"task_id": i, "phase": "warm_up", "ack": "ok"} for i in before]
    runs = [(i, outcome) for i, fate in fates_by_id.items() for outcome in fate.runs]
    executions: list[dict[str, object]] = [
        {
            "task_id": i,
            "t3_ns": None if outcome == "unstarted" else 10,
            "t4_ns": None if outcome in {"unstarted", "unfinished"} else 20,
            "outcome": "ok" if outcome == "wrong" else outcome,
            "answer": {"ok": right(i), "wrong": right(i) + 1}.get(outcome),
        }
        for i, outcome in [*runs, *((i, "ok") for i in before)]
    ]
    return executions, offers


def right(task_id: int) -> int:
    """Return the checksum of a task's right answer: 63 bits, which a float would round."""
    return 2**62 + task_id


@given(
    st.dictionaries(st.integers(0, 2**40), FATES, min_size=1, max_size=30),
    st.lists(st.integers(2**41, 2**42), unique=True, max_size=3),
    st.randoms(use_true_random=False),
)
def test_kat_10_injected_faults_are_classified_exactly(
    fates_by_id: dict[int, Fate], before: list[int], order: random.Random
) -> None:
    """Loss, duplicate, phantom, corruption, indeterminate and reordered records: each its class."""
    executions, offers = history(fates_by_id, before)
    order.shuffle(executions)
    order.shuffle(offers)
    whole = ["t3_ns", "t4_ns", "answer"]
    columns = ["task_id", *whole, "outcome"]
    tasks = pd.DataFrame(executions, columns=columns, dtype="object").astype(
        {"task_id": "int64", "outcome": "str", **dict.fromkeys(whole, "Int64")}
    )
    submits = pd.DataFrame(offers, columns=["task_id", "phase", "ack"]).assign(trial_id="t")
    table = verdicts(tasks.assign(trial_id="t"), submits, {i: right(i) for i in fates_by_id})
    found = dict(zip(table["task_id"], table["verdict"], strict=True))
    assert found == {i: fate.verdict for i, fate in fates_by_id.items()}
    assert sum(counts(table).values()) == len(fates_by_id)
    starts = {i: sum(r != "unstarted" for r in fate.runs) for i, fate in fates_by_id.items()}
    assert dict(zip(table["task_id"], table["starts"], strict=True)) == starts
