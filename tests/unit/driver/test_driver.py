"""Tests that the driver runs its phases in order, and that its files are readable after a kill."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.core.backend import JOBS, jobs_to_json, setup_to_json
from lab.core.model import (
    Burst,
    Capability,
    Job,
    Paced,
    Periodic,
    RoundTrip,
    Task,
    TrialSpec,
)
from lab.core.serialization import TrialRequest, order_to_json
from lab.driver import driver, readiness
from lab.driver.driver import PHASES
from lab.planning import registry
from lab.planning.phases import MOST_TASKS, OFFERING
from lab.planning.tasks import make_jobs
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import executions
from lab.running import trial
from lab.validation.trial_row import collect
from lab.worker import ledger
from tests.factories.trials import CONTEXT, run, spec_of


def test_phases_run_in_order(tmp_path: Path) -> None:
    """Each phase runs once, in the documented order."""
    seen: list[str] = []
    spec = spec_of("thread-pool")
    trial.run_trial(spec, 1, tmp_path / "t", seen.append)
    assert seen == ["up", *PHASES, "ended"]
    assert [name for name, _ in read_status(tmp_path / "t")["phases"]] == [*PHASES, "ended"]


def driver_here(
    folder: Path, monkeypatch: Any, seen: list[str], spec: TrialSpec | None = None
) -> driver.Driver:
    """Make a driver in this process, by default for `inline`, that appends its phases to `seen`."""
    spec = spec or spec_of("inline")
    (folder / "ledger").mkdir()
    ledger._forget()
    for name, value in {"LEDGER": str(folder / "ledger"), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    chosen = registry.select(spec.label)
    _, module = registry.workload(spec.workload)
    jobs = make_jobs(module, spec, as_coroutines=False)
    setup = registry.setup(chosen, spec.topology, {}, jobs)
    (folder / JOBS).write_text(jobs_to_json(jobs), encoding="utf-8")
    monkeypatch.setenv("LAB_SETUP", setup_to_json(setup))
    (folder / "trial.json").write_text(json.dumps(order_to_json(TrialRequest(spec))))
    return driver.Driver(folder, seen.append, lambda: None)


def test_a_backend_that_takes_no_tasks_ends_with_its_error(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """The driver does not wait for workers; the reason is the exception of the submit call."""
    seen: list[str] = []
    driven = driver_here(tmp_path, monkeypatch, seen)

    def refuse(_: Any) -> None:
        raise ConnectionError("the queue is gone")

    monkeypatch.setattr(driven.backend, "submit", refuse)
    driven.run()
    assert seen == ["boot", "verify", "stop", "ended"]
    assert read_status(tmp_path)["reason"] == (
        "The backend refused a task of the verify phase. ConnectionError: the queue is gone"
    )


def driver_with_jobs(
    folder: Path, monkeypatch: Any, overlooked: int
) -> tuple[driver.Driver, list[Job]]:
    """Make a driver whose scheduler ignores its first jobs; return it and the jobs it received."""
    spec = spec_of("deadline-loop", arrival=Periodic(1, 1, every_s=0.05))
    driven = driver_here(folder, monkeypatch, [], spec)
    received: list[Job] = []
    monkeypatch.setattr(readiness, "TRY_S", 0.1)
    monkeypatch.setattr(readiness, "DEADLINE_S", 0.3)
    monkeypatch.setattr(type(driven.backend), "finest_period_s", 0.05)
    schedule, unschedule = driven.backend.schedule, driven.backend.unschedule

    def overlook(job: Job) -> Any:
        received.append(job)
        return schedule(job) if len(received) > overlooked else None

    monkeypatch.setattr(driven.backend, "schedule", overlook)
    monkeypatch.setattr(driven.backend, "unschedule", lambda handle: handle and unschedule(handle))
    return driven, received


def test_a_scheduler_that_ignores_a_job_at_its_start_gets_another(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """The window begins after a job has fired, and then only the job of the window is scheduled."""
    driven, received = driver_with_jobs(tmp_path, monkeypatch, 1)
    driven.run()
    assert read_status(tmp_path)["status"] == "ok"
    phases = [OFFERING[job.id // MOST_TASKS] for job in received]
    assert phases == ["warm_up", "warm_up", "measure"]
    runs = [run for path in (tmp_path / "ledger").glob("*.bin") for run in executions(path)[1]]
    before = [run for run in runs if run.task_id != received[2].id]
    assert {run.task_id for run in before} == {received[1].id}
    assert all(run.finished_ns < read_status(tmp_path)["t_begin_ns"] for run in before)


def test_a_scheduler_that_ignores_all_jobs_fails_before_the_window(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """In the window, its ignored jobs would be reported as missed occurrences."""
    driven, received = driver_with_jobs(tmp_path, monkeypatch, 9)
    driven.run()
    assert [name for name, _ in read_status(tmp_path)["phases"]][:3] == ["boot", "verify", "stop"]
    assert "No scheduled job ran" in read_status(tmp_path)["reason"]
    assert len(received) == 3


def test_stop_runs_after_a_failed_phase(tmp_path: Path, monkeypatch: Any) -> None:
    """When a phase fails, the backend is stopped and the reason is recorded."""
    seen: list[str] = []
    driven = driver_here(tmp_path, monkeypatch, seen)
    stopped = []
    monkeypatch.setattr(driven.backend, "stop", lambda: stopped.append(True))
    monkeypatch.setattr(driven, "quiet", lambda: 1 / 0)
    driven.run()
    assert seen == ["boot", "verify", "quiet", "stop", "ended"]
    assert stopped == [True]
    status = read_status(tmp_path)
    assert status["status"] == "failed"
    assert status["reason"] == "ZeroDivisionError: division by zero"


def test_the_drain_awaits_the_running_tasks_of_a_batch_whose_call_raised(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """None of the batch was accepted, and its other tasks end; none is cut by the drain's end."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of("inline", warmup_tasks=0))
    one_by_one, promised = driven.offering.promised, frozenset({Capability.BATCH})
    begun = threading.Event()

    def run_the_second(task_id: int) -> None:
        words, row = ledger.begin(task_id, 0, time.monotonic_ns())
        begun.set()
        time.sleep(0.3)
        ledger.finish_failed(words, row, time.monotonic_ns(), ledger.RAISED)

    def submit_all(tasks: Sequence[Task]) -> None:
        threading.Thread(target=run_the_second, args=(tasks[1].id,)).start()
        begun.wait()
        raise RuntimeError("the first task raised")

    def measure(original: Any = driven.measure) -> None:
        driven.offering.promised = promised
        original()
        driven.offering.promised = one_by_one

    monkeypatch.setattr(driven.backend, "submit_all", submit_all)
    monkeypatch.setattr(driven, "measure", measure)
    driven.run()
    cut = driven.tasks[1].id
    runs = [run for path in (tmp_path / "ledger").glob("*.bin") for run in executions(path)[1]]
    (record,) = (run for run in runs if run.task_id == cut)
    assert 0 < record.finished_ns < read_status(tmp_path)["t_end_ns"]


def test_verify_and_warm_up_tasks_are_not_in_the_window(tmp_path: Path) -> None:
    """Only tasks of the window are counted, and all of them are between its edges."""
    result = run(tmp_path, spec_of("thread-pool", arrival=Burst(30), warmup_tasks=12))
    tasks = result.tables["task"]
    counts = tasks.phase.value_counts().to_dict()
    assert counts["measure"] == result.row.n_done == 30
    assert counts["warm_up"] == 12
    window = tasks[tasks.phase == "measure"]
    assert (window.t0_ns >= result.row.t_begin_ns).all()
    assert (window.t4_ns <= result.row.t_end_ns).all()
    assert (tasks[tasks.phase != "measure"].t4_ns < result.row.t_begin_ns).all()


def test_the_parts_of_a_latency_add_up(tmp_path: Path) -> None:
    """(t4 - t0) = (t1 - t0) + (t3 - t1) + (t4 - t3) on every row, all parts not negative."""
    result = run(tmp_path, spec_of("celery[threads]", arrival=Paced(60, 100.0)))
    w = result.tables["task"].query("phase == 'measure'")
    parts = [w.t1_ns - w.t0_ns, w.t3_ns - w.t1_ns, w.t4_ns - w.t3_ns]
    assert (w.t4_ns - w.t0_ns == sum(parts)).all()
    assert all((part >= 0).all() for part in parts)
    assert result.row.n_negative == 0


def test_all_backends_of_a_block_have_equal_plans(tmp_path: Path) -> None:
    """The plan's hash is equal for every backend and differs with the seed (METHOD M4)."""
    arrival = Paced(20, 200.0)
    rows = [run(tmp_path, spec_of(b, arrival=arrival)).row for b in ("inline", "thread-pool")]
    other = run(tmp_path, spec_of("inline", arrival=arrival, seed=6)).row
    assert rows[0].plan_hash == rows[1].plan_hash != other.plan_hash


def test_round_trips_are_one_at_a_time(tmp_path: Path) -> None:
    """The next task is offered after the result of the one before has arrived."""
    result = run(tmp_path, spec_of("thread-pool", arrival=RoundTrip(25)))
    window = result.tables["task"].query("phase == 'measure'").sort_values("t0_ns")
    assert (window.t0_ns.iloc[1:].to_numpy() >= window.t5_ns.iloc[:-1].to_numpy()).all()


def test_the_folder_of_a_killed_lab_becomes_an_interrupted_row(tmp_path: Path) -> None:
    """A folder without a status is readable, and its row has the status `interrupted`."""
    spec = spec_of("thread-pool")
    trial.run_trial(spec, 1, tmp_path / "t", lambda _: None)
    (tmp_path / "t" / "status.json").unlink()
    result = collect(trial.killed(spec, 1, tmp_path / "t"), CONTEXT)
    assert result.row.status == "interrupted"
    assert "--resume" in result.row.reason
    assert result.row.n_done == 50
