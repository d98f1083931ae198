"""What failed says why: the exception, the pool that broke, the signal stand in the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Burst, Topology
from lab.recording import ledger_reader
from lab.running import trial
from lab.validation.trial_row import Collected, collect
from lab.worker import ledger
from lab.worker.ledger import LONGEST_ERROR, MOST_ERRORS
from tests.factories.trials import CONTEXT, spec_of

FAILING = "tests.factories.user_functions.failing"
BOOM = "ValueError: the disk of customer 4711 is missing"


def run(folder: Path, label: str, task: str, harness_ns: float = 0.0, **changes: Any) -> Collected:
    """Run a burst of a function that fails."""
    fields: dict[str, Any] = {"arrival": Burst(10), "warmup_tasks": 0, "deadline_s": 3.0}
    spec = spec_of(label, f"{FAILING}:{task}", unchecked="it fails", **{**fields, **changes})
    outcome = trial.run(spec, 1, folder / spec.id, lambda _: None, harness_ns)
    return collect(outcome, CONTEXT)


@pytest.mark.parametrize(
    ("label", "task", "words"),
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
        ("multiprocessing", "own_pool", "AssertionError: daemonic processes are not allowed"),
    ],
)
def test_the_exception_of_a_task_stands_in_the_row(
    label: str, task: str, words: str, tmp_path: Path
) -> None:
    """And the file that the row names has its traceback."""
    row = run(tmp_path, label, task).row
    assert row.status == "failed"
    assert row.reason.count(words) == 1
    name = row.reason.rpartition("(traceback: ")[2].removesuffix(").")
    (text,) = [path.read_text() for path in tmp_path.glob(f"*/{name}")]
    assert f"in {task}" in text
    assert "Traceback (most recent call last)" in text


@pytest.mark.parametrize("label", ["inline", "thread-pool", "process-pool"])
@pytest.mark.parametrize(
    ("task", "n_tasks", "words"),
    [
        ("counted", 50, "ConnectionError: too many requests"),
        ("seldom", 60, "StopIteration"),
        ("fast_fail", 60, "StopIteration"),
    ],
)
def test_a_function_that_fails_when_its_burst_is_offered_again_fails_its_trial(
    label: str, task: str, n_tasks: int, words: str, tmp_path: Path
) -> None:
    """The recorded burst is readable, and the row has the exception of the other one."""
    made = run(tmp_path, label, task, 1e6, arrival=Burst(n_tasks), warmup_tasks=5)
    row = made.row
    assert (row.status, row.n_done, row.n_phantom) == ("failed", n_tasks, 0)
    assert row.reason.startswith("In the uninstrumented burst, a task ")
    assert words in row.reason
    assert made.tables["task"].t0_ns.notna().all()
    assert set(made.tables["task"].phase) <= {"verify", "warm_up", "measure", "unrecorded"}


def test_each_process_writes_few_and_short_exceptions_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and however long; a fork begins anew."""
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


def test_an_exception_that_cannot_be_written_down_is_no_failure_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the task still says that it raised."""
    monkeypatch.setenv("LAB_LEDGER", str(tmp_path / "absent"))
    ledger._forget()
    ledger.note_error(1, ValueError("no folder"))
    ledger._forget()
    assert not list(tmp_path.iterdir())


def test_only_files_of_ours_are_read(tmp_path: Path) -> None:
    """No link, no folder, nothing large, whatever its name."""
    (tmp_path / "0-0-1-2-3.error").write_text("ValueError: ours\n\ntext")
    (tmp_path / "0-0-1-2-4.error").symlink_to(tmp_path / "0-0-1-2-3.error")
    (tmp_path / "0-0-1-2-5.error").mkdir()
    (tmp_path / "0-0-1-2-6.error").write_bytes(b"x" * (LONGEST_ERROR + 1))
    (tmp_path / "mine.error").write_text("not ours")
    (error,) = ledger_reader.task_errors(tmp_path)
    assert (error.task_id, error.summary) == (3, "ValueError: ours")


@pytest.mark.parametrize(
    ("label", "task", "status", "words"),
    [
        ("process-pool", "killed_later", "timeout", "BrokenProcessPool: A process in the process"),
        ("joblib", "killed_later", "failed", "Submitting failed: TerminatedWorkerError: "),
        ("multiprocessing", "killed_later", "timeout", "started and did not finish."),
        ("celery", "killed", "timeout", "24 of them started and did not finish."),
        ("rq", "killed", "timeout", "RuntimeError: Work-horse terminated unexpectedly"),
    ],
)
def test_a_pool_that_broke_says_so(
    label: str, task: str, status: str, words: str, tmp_path: Path
) -> None:
    """By the result of a task that did not end, or else by how many of them began."""
    two = Topology(1, 1, 2)
    row = run(tmp_path, label, task, arrival=Burst(24), topology=two, deadline_s=12.0).row
    assert row.status == status
    assert words in row.reason


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("process-pool", "The result of one: BrokenProcessPool: "),
        ("multiprocessing", "started and did not finish."),
        ("rq", "The result of one: RuntimeError: Work-horse terminated"),
    ],
)
def test_a_pool_that_breaks_in_the_warm_up_says_so(label: str, words: str, tmp_path: Path) -> None:
    """As in the window."""
    row = run(tmp_path, label, "killed", warmup_tasks=4).row
    assert row.status == "failed"
    assert row.reason.startswith("The warm-up of 4 tasks did not finish in 3 s.")
    assert words in row.reason


def test_a_client_that_refuses_every_task_says_so(tmp_path: Path) -> None:
    """And its burst is not offered again, for there is no rate to compare."""
    task = "tests.factories.user_tasks:locked(tests.factories.user_tasks:LOCK)"
    spec = spec_of("rq[simple-worker]", task, Burst(50), unchecked="it is refused")
    row = collect(trial.run(spec, 1, tmp_path / "t", lambda _: None, 1e6), CONTEXT).row
    assert (row.status, row.n_sent, row.n_done) == ("failed", 50, 0)
    assert row.reason.startswith("Submitting failed: ")
    assert "pickle" in row.reason


def test_an_argument_that_no_process_can_have_says_so(tmp_path: Path) -> None:
    """A pool takes the task, and fails to hand it over."""
    task = "tests.factories.user_tasks:locked(tests.factories.user_tasks:LOCK)"
    spec = spec_of(
        "process-pool", task, Burst(5), unchecked="it fails", warmup_tasks=0, deadline_s=2.0
    )
    row = collect(trial.run(spec, 1, tmp_path / "t", lambda _: None), CONTEXT).row
    assert row.status == "timeout"
    assert "The result of one: TypeError: cannot pickle" in row.reason


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize("label", ["rq[simple-worker]", "dask[distributed]"])
def test_the_exception_of_a_task_in_a_container_stands_in_the_row(
    label: str, tmp_path: Path
) -> None:
    """And its traceback lies beside the ledger, where the lab can read it."""
    row = run(tmp_path, label, "boom", provider="compose").row
    assert row.status == "failed"
    assert f"{BOOM} (traceback: ledger/" in row.reason
