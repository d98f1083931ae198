"""Tests that the row of a failed trial has the cause: an exception, a broken pool, a signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Burst, Topology
from lab.recording import ledger_reader
from lab.running import trial
from lab.validation.trial_row import TrialResult, collect
from lab.worker import ledger
from lab.worker.ledger import LONGEST_ERROR, MOST_ERRORS
from tests.factories.trials import CONTEXT, spec_of

FAILING = "tests.factories.user_functions.failing"
BOOM = "ValueError: the disk of customer 4711 is missing"


def run(
    folder: Path, label: str, task: str, instrumentation_ns: float = 0.0, **changes: Any
) -> TrialResult:
    """Run a burst of a failing function."""
    fields: dict[str, Any] = {"arrival": Burst(10), "warmup_tasks": 0, "deadline_s": 3.0}
    spec = spec_of(label, f"{FAILING}:{task}", unchecked="it fails", **{**fields, **changes})
    outcome = trial.run_trial(spec, 1, folder / spec.id, lambda _: None, instrumentation_ns)
    return collect(outcome, CONTEXT)


@pytest.mark.parametrize(
    ("label", "task", "message"),
    [
        ("inline", "boom", BOOM),
        ("thread-pool", "boom", BOOM),
        ("process-pool", "boom", BOOM),
        ("multiprocessing", "boom", BOOM),
        ("asyncio[to_thread]", "boom", BOOM),
        ("asyncio", "boom", BOOM),
        ("joblib", "boom", BOOM),
        ("threading", "boom", BOOM),
        ("rq[simple-worker]", "boom", BOOM),
        ("thread-pool", "unpicklable", "TwoArgumentsError: 5: no"),
        ("thread-pool", "unprintable", "UnprintableError: <exception str() failed>"),
        ("thread-pool", "caused", "LookupError: first line second line"),
        ("multiprocessing", "nested_pool", "AssertionError: daemonic processes are not allowed"),
    ],
)
def test_row_has_the_exception_of_a_task(
    label: str, task: str, message: str, tmp_path: Path
) -> None:
    """The reason contains the exception, and names the file with its traceback."""
    row = run(tmp_path, label, task).row
    assert row.status == "failed"
    assert row.reason.count(message) == 1
    name = row.reason.rpartition("(traceback: ")[2].removesuffix(").")
    (text,) = [path.read_text() for path in tmp_path.glob(f"*/{name}")]
    assert f"in {task}" in text
    assert "Traceback (most recent call last)" in text


@pytest.mark.parametrize("label", ["inline", "thread-pool", "process-pool"])
@pytest.mark.parametrize(
    ("task", "n_tasks", "message"),
    [
        ("counted", 50, "ConnectionError: too many requests"),
        ("seldom", 60, "StopIteration"),
        ("fast_fail", 60, "StopIteration"),
    ],
)
def test_failure_in_the_uninstrumented_burst_fails_the_trial(
    label: str, task: str, n_tasks: int, message: str, tmp_path: Path
) -> None:
    """The recorded burst is readable, and the row has the exception of the uninstrumented one."""
    result = run(tmp_path, label, task, 1e6, arrival=Burst(n_tasks), warmup_tasks=5)
    row = result.row
    assert (row.status, row.n_done, row.n_unexpected) == ("failed", n_tasks, 0)
    assert row.reason.startswith("In the uninstrumented burst, a task ")
    assert message in row.reason
    assert result.tables["task"].t0_ns.notna().all()
    assert set(result.tables["task"].phase) <= {"verify", "warm_up", "measure", "unrecorded"}


def test_process_writes_a_limited_number_of_short_exceptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Number and length of the files are limited per process; a fork counts from zero."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    for number in range(3 * MOST_ERRORS):
        ledger.note_error(number, ValueError("x" * 100_000))
    errors = ledger_reader.task_errors(tmp_path)
    assert [error.task_id for error in errors] == [*range(MOST_ERRORS)]
    assert all(error.path.stat().st_size <= LONGEST_ERROR for error in errors)
    assert errors[0].summary.startswith("ValueError: xxx")
    ledger._forget()
    ledger.note_error(99, ValueError("in a child"))
    assert len(ledger_reader.task_errors(tmp_path)) == MOST_ERRORS + 1
    ledger._forget()


def test_unwritable_exception_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file cannot be written, no error is raised; the record has the outcome anyway."""
    monkeypatch.setenv("LAB_LEDGER", str(tmp_path / "absent"))
    ledger._forget()
    ledger.note_error(1, ValueError("no folder"))
    ledger._forget()
    assert not list(tmp_path.iterdir())


def test_task_errors_reads_only_files_of_the_lab(tmp_path: Path) -> None:
    """Links, folders, large files and other names are ignored."""
    (tmp_path / "0-0-1-2-3.error").write_text("ValueError: ours\n\ntext")
    (tmp_path / "0-0-1-2-4.error").symlink_to(tmp_path / "0-0-1-2-3.error")
    (tmp_path / "0-0-1-2-5.error").mkdir()
    (tmp_path / "0-0-1-2-6.error").write_bytes(b"x" * (LONGEST_ERROR + 1))
    (tmp_path / "mine.error").write_text("not ours")
    (error,) = ledger_reader.task_errors(tmp_path)
    assert (error.task_id, error.summary) == (3, "ValueError: ours")


@pytest.mark.parametrize(
    ("label", "task", "n_tasks", "status", "message"),
    [
        ("process-pool", "killed_later", 24, "timeout", "BrokenProcessPool: A process in the"),
        ("joblib", "killed_later", 24, "failed", "Submitting failed: TerminatedWorkerError: "),
        ("multiprocessing", "killed_later", 24, "timeout", "started and did not finish."),
        # Few, because it starts a process for each, and all must start before the deadline.
        ("celery", "killed", 6, "timeout", "6 of them started and did not finish."),
        ("rq", "killed", 24, "timeout", "RuntimeError: Work-horse terminated unexpectedly"),
    ],
)
def test_row_has_the_cause_of_a_broken_pool(
    label: str, task: str, n_tasks: int, status: str, message: str, tmp_path: Path
) -> None:
    """The reason has the result of an unfinished task, or the number of started ones."""
    two = Topology(1, 1, 2)
    row = run(tmp_path, label, task, arrival=Burst(n_tasks), topology=two, deadline_s=12.0).row
    assert row.status == status
    assert message in row.reason


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("process-pool", "The result of one: BrokenProcessPool: "),
        ("multiprocessing", "started and did not finish."),
        ("rq", "The result of one: RuntimeError: Work-horse terminated"),
    ],
)
def test_row_has_the_cause_of_a_pool_that_breaks_in_the_warm_up(
    label: str, message: str, tmp_path: Path
) -> None:
    """The reason is the same as for the window."""
    row = run(tmp_path, label, "killed", warmup_tasks=4).row
    assert row.status == "failed"
    assert row.reason.startswith("The warm-up of 4 tasks did not finish in 3 s.")
    assert message in row.reason


def test_row_has_the_error_of_a_client_that_refuses_every_task(tmp_path: Path) -> None:
    """The uninstrumented burst does not run, because there is no rate to compare."""
    task = "tests.factories.user_tasks:locked(tests.factories.user_tasks:LOCK)"
    spec = spec_of("rq[simple-worker]", task, Burst(50), unchecked="it is refused")
    row = collect(trial.run_trial(spec, 1, tmp_path / "t", lambda _: None, 1e6), CONTEXT).row
    assert (row.status, row.n_sent, row.n_done) == ("failed", 50, 0)
    assert row.reason.startswith("Submitting failed: ")
    assert "pickle" in row.reason


def test_row_has_the_error_of_an_argument_that_cannot_be_pickled(tmp_path: Path) -> None:
    """The pool accepts the task, and fails to send it to a process."""
    task = "tests.factories.user_tasks:locked(tests.factories.user_tasks:LOCK)"
    spec = spec_of(
        "process-pool", task, Burst(5), unchecked="it fails", warmup_tasks=0, deadline_s=2.0
    )
    row = collect(trial.run_trial(spec, 1, tmp_path / "t", lambda _: None), CONTEXT).row
    assert row.status == "timeout"
    assert "The result of one: TypeError: cannot pickle" in row.reason


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize("label", ["rq[simple-worker]", "dask[distributed]"])
def test_row_has_the_exception_of_a_task_in_a_container(label: str, tmp_path: Path) -> None:
    """The traceback is in the ledger's folder, which the lab can read."""
    row = run(tmp_path, label, "boom", provider="compose").row
    assert row.status == "failed"
    assert f"{BOOM} (traceback: ledger/" in row.reason
