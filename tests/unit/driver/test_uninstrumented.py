"""Tests the uninstrumented burst, offered if recording has lowered the rate (METHOD M19)."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.metrics.registry import trial_metrics
from lab.analysis.metrics.throughput import (
    THROUGHPUT_FLOOR,
    add_marks,
    instrumentation_overhead,
    makespan,
    record_overhead,
    throughput,
)
from lab.analysis.statistics import RefusedError
from lab.core.model import Burst, Paced, Task, Topology, TrialSpec
from lab.driver import uninstrumented
from lab.driver.worker_records import WorkerRecords
from lab.planning.phases import MOST_TASKS, UNINSTRUMENTED, Phase
from lab.running import trial
from lab.validation.trial_row import TrialResult, collect
from lab.worker import execution, ledger
from lab.worker.ledger import NO_RECORD
from tests.factories import simulated
from tests.factories.trials import CONTEXT, spec_of

SYSTEMS = (
    *("inline", "queue", "asyncio", "asyncio[to_thread]", "threading", "thread-pool"),
    *("multiprocessing[fork]", "multiprocessing[fork+map]", "process-pool", "joblib[threading]"),
    *("apscheduler", "dask[threads]", "celery[threads]", "rq[simple-worker]", "null"),
)
MICROSECOND = 1_000


def run(folder: Path, spec: TrialSpec, instrumentation_ns: float | None) -> TrialResult:
    """Run a trial with an instrumentation cost of `instrumentation_ns`, and return its result."""
    return collect(
        trial.run_trial(spec, 1, folder / spec.id, lambda _: None, instrumentation_ns), CONTEXT
    )


def phases(collected: TrialResult) -> dict[str, int]:
    """Return the number of a trial's executions by phase."""
    return dict(collected.tables["task"].phase.value_counts())


def of(phase: Phase, finished_ns: list[int], places: list[int]) -> pd.DataFrame:
    """Return tasks of a phase, due at instant 0, by their indexes and finish instants."""
    n = len(places)
    instants = {f"t{i}_ns": pd.array([0] * n, "Int64") for i in (0, 1, 2, 3, 5)}
    finished = pd.array(finished_ns, "Int64")
    ids = [phase.first_task + place for place in places]
    columns = {"task_id": ids, "outcome": "ok", "phase": str(phase), **instants}
    return pd.DataFrame({**columns, "t4_ns": finished})


def test_a_task_with_an_id_beyond_the_last_phase_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task runs and answers without a record; a task with a smaller id has one."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    assert execution.execute(NO_RECORD, "workloads.noop:run", 7) == 7
    assert asyncio.run(execution.execute_async(NO_RECORD + 1, "workloads.noop:run_async", 8)) == 8
    execution.stamp(NO_RECORD + 2)
    assert not list(tmp_path.iterdir())
    assert Phase.REPEATED.first_task + MOST_TASKS == NO_RECORD
    execution.execute(NO_RECORD - 1, "workloads.noop:run", 7)
    ledger._forget()
    assert len(list(tmp_path.iterdir())) == 1


@given(n=st.integers(2 * uninstrumented.FEWEST_MARKS, 5_000), times=st.integers(1, 3))
def test_markers_are_evenly_spaced_and_include_the_last_task(n: int, times: int) -> None:
    """The work is the same, and the id of a marker contains its index."""
    tasks = [Task(Phase.MEASURE.first_task + i, "module:run", i * i) for i in range(n)] * times
    marks = uninstrumented.n_marks(n)
    again, places = uninstrumented.with_marked_tasks(tasks, marks, Phase.UNRECORDED)
    assert [(t.function, t.argument) for t in again] == [(t.function, t.argument) for t in tasks]
    assert [t.id - Phase.UNRECORDED.first_task for t in again if t.id < NO_RECORD] == places
    assert len({t.id for t in again}) == n * times
    gaps = {b - a for a, b in zip([-1, *places], places, strict=False)}
    assert places[-1] == n * times - 1
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("n", "marks"), [(39, 0), (40, 20), (2_000, 20), (30_000, 300)])
def test_one_task_in_a_hundred_is_a_marker_and_at_least_twenty(n: int, marks: int) -> None:
    """A burst with too few tasks has no markers."""
    assert uninstrumented.n_marks(n) == marks
    assert uninstrumented.FEWEST_MARKS == THROUGHPUT_FLOOR


@pytest.mark.parametrize(
    ("processes", "instrumentation_ns", "by"),
    [(1, 1_000, 1 / 9), (2, 1_000, 1 / 19), (1, 10_000, math.inf)],
)
def test_recording_lowers_a_rate_by_its_share(
    processes: int, instrumentation_ns: int, by: float
) -> None:
    """Of the 10 us between two tasks, times processes, a record takes 1 us or all."""
    finished = [i * 10 * MICROSECOND for i in range(100)]
    assert uninstrumented.overhead_of_recording(
        finished, processes, instrumentation_ns
    ) == pytest.approx(by)


@pytest.mark.parametrize("label", SYSTEMS)
def test_every_quick_backend_repeats_its_burst(label: str, tmp_path: Path) -> None:
    """Only the markers have rows; the outcomes are those of the recorded burst."""
    topology = Topology(1, 1, 1 if label in {"inline", "null"} else 2)
    collected = run(tmp_path, spec_of(label, arrival=Burst(100), topology=topology), 2e6)
    row = collected.row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.n_sent, row.n_done, row.n_unexpected, row.n_duplicated) == (100, 100, 0, 0)
    assert row.n_negative == 0
    executions = phases(collected)
    assert executions["measure"] == 100
    assert executions["unrecorded"] == uninstrumented.FEWEST_MARKS
    assert executions.get("repeated", 20) == uninstrumented.FEWEST_MARKS
    tasks = collected.tables["task"]
    marks = tasks[tasks.phase.isin(UNINSTRUMENTED)]
    assert set(marks.outcome) == {"ok"}
    assert (marks.t4_ns > row.t_end_ns).all()
    window = tasks[tasks.phase == "measure"]
    metrics = {metric.metric: metric for metric in trial_metrics(row, window, marks=marks)}
    assert metrics["throughput_per_s"].method.endswith("recorded")
    assert metrics["makespan_s"].n == 100
    assert metrics["record_overhead"].value is not None


@pytest.mark.parametrize(
    ("arrival", "instrumentation_ns"), [(Burst(100), None), (Burst(100), 1e-3), (Burst(39), 1e9)]
)
def test_a_burst_whose_rate_is_not_lowered_is_not_repeated(
    arrival: Burst, instrumentation_ns: float | None, tmp_path: Path
) -> None:
    """A burst with an unknown cost, a negligible cost or too few tasks runs once."""
    assert not set(UNINSTRUMENTED) & set(
        phases(run(tmp_path, spec_of("inline", arrival=arrival), instrumentation_ns))
    )


def test_only_bursts_are_repeated(tmp_path: Path) -> None:
    """Latency is measured with recorded tasks only."""
    collected = run(tmp_path, spec_of("inline", arrival=Paced(40, rate_hz=1_000.0)), 1e9)
    assert not set(UNINSTRUMENTED) & set(phases(collected))


def test_a_repeated_burst_that_does_not_finish_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial's row has the reason, and no rate is reported."""
    of_phase = {Phase.MEASURE: list(range(100)), Phase.UNRECORDED: [5]}
    monkeypatch.setattr(uninstrumented, "_finished_ns", lambda _, phase: of_phase[phase])
    lossy: Any = SimpleNamespace(backend=SimpleNamespace(workers=1), offer_sparsely=lambda *_: 0)
    tasks = [Task(i, "module:run", i) for i in range(100)]
    reason = uninstrumented.offer_again(lossy, tasks, WorkerRecords(tmp_path, []), 1e6, 0.02)
    assert reason == "The uninstrumented burst did not finish."


def test_the_rate_is_from_the_last_burst_and_the_length_from_the_uninstrumented_one() -> None:
    """2,000 tasks take 1 us each with records, 0.5 us without, and 0.4 us in ten times as many."""
    row = simulated.trial("burst", 2_000, workers=1, instrumentation_ns=100.0, worker_processes=1)
    recorded = of(Phase.MEASURE, [1_000 * (i + 1) for i in range(2_000)], list(range(2_000)))
    once = [100 * (i + 1) - 1 for i in range(20)]
    often = [1_000 * (i + 1) - 1 for i in range(20)]
    unrecorded = of(Phase.UNRECORDED, [500 * (place + 1) for place in once], once)
    repeated = of(Phase.REPEATED, [400 * (place + 1) for place in often], often)
    tasks = recorded.drop(columns="phase")
    second = add_marks(tasks, unrecorded)
    assert throughput(row, second).value == pytest.approx(2e6)
    assert throughput(row, second).n == 2_000
    assert record_overhead(row, second).value == pytest.approx(1.0)
    both = add_marks(tasks, pd.concat([unrecorded, repeated], ignore_index=True))
    rate, length = throughput(row, both), makespan(row, both)
    assert rate.value == pytest.approx(2.5e6)
    assert (rate.n, rate.method.rpartition(", ")[2]) == (20_000, "one task in 1000 recorded")
    assert length.value == pytest.approx(2_000 * 500e-9)
    assert length.n == 2_000
    # One record of 0.1 us per thousand tasks of 0.4 us.
    assert instrumentation_overhead(row, both).value == pytest.approx(1e-4 / (0.4 - 1e-4))


def test_the_rate_is_refused_if_markers_did_not_finish() -> None:
    """Half of them finished: the rate of the recorded burst does not replace theirs."""
    row = simulated.trial("burst", 2_000, t_end_ns=1)
    recorded = of(Phase.MEASURE, [1_000 * (i + 1) for i in range(2_000)], list(range(2_000)))
    places = [100 * (i + 1) - 1 for i in range(20)]
    marks = of(Phase.UNRECORDED, [500 * (place + 1) for place in places], places)
    marks.loc[marks.index[:10], "t4_ns"] = pd.NA
    marks.loc[marks.index[:10], "outcome"] = "unfinished"
    burst = add_marks(recorded.drop(columns="phase"), marks)
    with pytest.raises(RefusedError, match="Only 10 of 20"):
        throughput(row, burst)
    length = makespan(row, burst)
    assert length.bound == ">"
    assert length.value == pytest.approx(2_000 * 500e-9)


def test_a_disturbance_of_the_uninstrumented_burst_flags_the_trial(tmp_path: Path) -> None:
    """The lab reads host counters until its end, because the rate is measured in it."""
    spec = spec_of("inline", arrival=Burst(100))
    outcome = trial.run_trial(spec, 1, tmp_path / "t", lambda _: None, 1e6)
    context = replace(CONTEXT, calibration_ns=(1_000, 1_000))
    calm = collect(outcome, context).row
    assert outcome.end is not None
    assert outcome.last is not None
    assert outcome.last.host.t_ns > outcome.end.host.t_ns
    host, second = outcome.last.host, 1_000_000_000
    assert calm.steal is not None
    cpus = {n: replace(times, steal_s=times.steal_s + 1.0) for n, times in host.cpus.items()}
    stolen = replace(host, t_ns=host.t_ns + second, cpus=cpus)
    outcome.last = replace(outcome.last, host=stolen)
    disturbed = collect(outcome, context).row
    assert disturbed.steal is not None
    assert disturbed.steal > calm.steal
    assert (disturbed.flag, "hypervisor" in disturbed.flag_reasons) == ("disturbed", True)
    assert disturbed.cpu_driver_ns == calm.cpu_driver_ns
