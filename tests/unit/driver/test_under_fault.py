"""Tests the driver in trials with a fault: refused, blocked, lost and late tasks."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Paced, Task
from lab.driver import driver, under_fault
from lab.driver.driver import PHASES
from lab.planning.phases import Phase
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import Execution, Intent, executions, intents, unfinished
from lab.recording.task_states import NAME
from lab.worker.ledger import ACCEPTED, ERROR
from tests.factories.trials import spec_of
from tests.unit.driver.test_driver import driver_here

N = 20
SPECIAL = Phase.MEASURE.first_task + 5


@pytest.fixture
def driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> driver.Driver:
    """A driver of a trial with a fault on a pool of threads, with a short patience."""
    monkeypatch.setattr(under_fault, "SETTLE_S", 0.3)
    monkeypatch.setattr(under_fault, "LATEST_S", 0.3)
    monkeypatch.setattr(under_fault, "LOOK_S", 0.05)
    fault = replace(of_kind(FaultKind.NONE), restart_s=0.0)
    spec = spec_of("thread-pool", arrival=Paced(N, 200.0), fault=fault, deadline_s=60.0)
    driven = driver_here(tmp_path, monkeypatch, [], spec)
    assert driven.under_fault
    return driven


def run(driven: driver.Driver, special: Callable[[Task], Any]) -> dict[int, Intent]:
    """Run the trial, with another submit call for one task; return the journal of the window."""
    submit = driven.backend.submit

    def submit_or_special(task: Task) -> Any:
        return special(task) if task.id == SPECIAL else submit(task)

    driven.backend.submit = submit_or_special  # type: ignore[method-assign]
    driven.run()
    status = read_status(driven.folder)
    assert (status["status"], status["reason"]) == ("ok", "")
    assert [name for name, _ in status["phases"]] == [*PHASES, "ended"]
    rows = intents(driven.folder / "intents.bin")[1]
    return {row.task_id: row for row in rows if row.task_id in Phase.MEASURE.ids}


def states(driven: driver.Driver) -> dict[int, str]:
    """Return the states that the driver wrote."""
    written = json.loads((driven.folder / NAME).read_text())
    return {int(task_id): state for task_id, state in written.items()}


def seen_by_the_drain(monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Return a list that will have the executions at the end of the drain."""
    seen, read_states = list[Execution](), under_fault.UnderFault.read_states

    def read(self: under_fault.UnderFault) -> None:
        for path in (self._folder / "ledger").glob("*.bin"):
            seen.extend(executions(path)[1])
        read_states(self)

    monkeypatch.setattr(under_fault.UnderFault, "read_states", read)
    return seen


def fail(error: type[BaseException]) -> None:
    """Raise an exception in a task."""
    raise error


def test_refused_task_does_not_end_the_trial(driven: driver.Driver) -> None:
    """Its row has the error, and the tasks after it are offered at their instants."""

    def refuse(_: Task) -> None:
        raise ConnectionError("the broker is away")

    rows = run(driven, refuse)
    assert [row.acknowledged for row in rows.values()].count(ACCEPTED) == N - 1
    assert rows[SPECIAL].acknowledged == ERROR
    assert all(row.t1_ns >= row.t0_ns for row in rows.values())
    status = read_status(driven.folder)
    assert status["submit_error"] == "ConnectionError: the broker is away"
    assert set(states(driven)) == set(rows) - {SPECIAL}


def test_blocked_call_ends_the_offering_and_not_the_trial(driven: driver.Driver) -> None:
    """The result of the call is unknown; the tasks after it are never offered."""
    never = threading.Event()
    rows = run(driven, lambda _: never.wait())
    never.set()
    assert (rows[SPECIAL].acknowledged, rows[SPECIAL].t2_ns) == (0, 0)
    assert [row.t1_ns > 0 for row in rows.values()] == [task <= SPECIAL for task in rows]
    assert set(states(driven).values()) == {"finished"}


def test_call_that_returns_too_late_refuses_the_rest(driven: driver.Driver) -> None:
    """No task is offered during the drain, when nothing would wait for it."""
    fault = driven.under_fault
    assert fault
    rows = run(driven, lambda _: fault._is_over.wait())
    refused = [task_id for task_id, row in rows.items() if row.acknowledged == ERROR]
    assert set(refused) <= {task_id for task_id in rows if task_id > SPECIAL}
    assert unfinished(driven.folder / "ledger", rows) >= set(refused)


def test_lost_task_is_a_state_and_no_failure(driven: driver.Driver) -> None:
    """The drain ends without it, and the file has the state that the system reports."""
    run(driven, lambda _: Future())
    assert states(driven).pop(SPECIAL) == "queued"
    assert list(states(driven).values()).count("finished") == N - 1


@pytest.mark.parametrize(("horizon_s", "is_missing"), [(60.0, False), (None, True)])
def test_drain_waits_for_the_redelivery_horizon(
    driven: driver.Driver,
    monkeypatch: pytest.MonkeyPatch,
    horizon_s: float | None,
    is_missing: bool,
) -> None:
    """A task that is delivered late is seen; without a redelivery the drain ends earlier."""
    submit, missing = driven.backend.submit, set[int]()
    monkeypatch.setattr(
        type(driven.backend), "redelivery_horizon_s", lambda *_, is_started: horizon_s
    )

    def redeliver(task: Task) -> Future[None]:
        # Well after `SETTLE_S`, and well before the horizon.
        threading.Timer(1.0, deliver, [task]).start()
        return Future()

    def deliver(task: Task) -> None:
        with contextlib.suppress(RuntimeError):  # the pool is shut down
            submit(task)

    read_states = under_fault.UnderFault.read_states

    def read(self: under_fault.UnderFault) -> None:
        missing.update(unfinished(self._folder / "ledger", [SPECIAL]))
        read_states(self)

    monkeypatch.setattr(under_fault.UnderFault, "read_states", read)
    run(driven, redeliver)
    assert missing == ({SPECIAL} if is_missing else set())


@pytest.mark.parametrize(("error", "times"), [(ValueError, 1), (KeyboardInterrupt, 2)])
def test_drain_waits_for_a_task_that_was_interrupted(
    driven: driver.Driver,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    times: int,
) -> None:
    """It may be delivered again, as the task of a killed worker; one that failed has ended."""
    seen = seen_by_the_drain(monkeypatch)
    monkeypatch.setattr(type(driven.backend), "redelivery_horizon_s", lambda *_, is_started: 1.5)
    submit = driven.backend.submit

    def fail_and_deliver_again(task: Task) -> Any:
        threading.Timer(1.2, deliver, [task]).start()
        return submit(replace(task, function=f"{__name__}:fail", argument=error))

    def deliver(task: Task) -> None:
        with contextlib.suppress(RuntimeError):  # the pool is shut down
            submit(task)

    run(driven, fail_and_deliver_again)
    assert [record.task_id for record in seen].count(SPECIAL) == times


@pytest.mark.parametrize(("heal_s", "times"), [(0.0, 1), (0.01, 2)])
def test_drain_sees_a_task_that_was_finished_and_is_delivered_again(
    driven: driver.Driver, monkeypatch: pytest.MonkeyPatch, heal_s: float, times: int
) -> None:
    """After a pause or a cut the drain lasts a whole horizon, although every task has ended."""
    assert driven.under_fault
    driven.under_fault._fault = Fault(FaultKind.NETWORK_CUT, heal_s=heal_s)
    monkeypatch.setattr(type(driven.backend), "redelivery_horizon_s", lambda *_, is_started: 1.5)
    submit, seen = driven.backend.submit, seen_by_the_drain(monkeypatch)

    def deliver_twice(task: Task) -> Any:
        threading.Timer(1.2, deliver, [task]).start()
        return submit(task)

    def deliver(task: Task) -> None:
        with contextlib.suppress(RuntimeError):  # the pool is shut down
            submit(task)

    run(driven, deliver_twice)
    assert [record.task_id for record in seen].count(SPECIAL) == times


@pytest.mark.parametrize(("kind", "times"), [(FaultKind.NONE, 1), (FaultKind.OUTLIVE, 2)])
def test_drain_waits_for_the_second_execution_of_a_task_that_outlives(
    driven: driver.Driver, monkeypatch: pytest.MonkeyPatch, kind: FaultKind, times: int
) -> None:
    """An execution that began before the first one ended is complete at the end of the drain."""
    assert driven.under_fault
    driven.under_fault._fault = Fault(kind)
    driven.backend.workers = 2
    submit, seen = driven.backend.submit, seen_by_the_drain(monkeypatch)

    def deliver_twice(task: Task) -> Any:
        # A sleep longer than `SETTLE_S` and shorter than the horizon.
        submit(replace(task, function="workloads.io:run", argument=[1_000_000, 0]))
        return submit(task)

    monkeypatch.setattr(type(driven.backend), "redelivery_horizon_s", lambda *_, is_started: 2.0)
    run(driven, deliver_twice)
    assert sum(record.task_id == SPECIAL and record.finished_ns > 0 for record in seen) == times


def test_state_that_cannot_be_read_is_unknown(
    driven: driver.Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away, or never answers, does not end the trial."""
    monkeypatch.setattr(under_fault, "READ_S", 0.2)
    never = threading.Event()

    def state_of(_: Any) -> None:
        if len(calls) == 1:
            never.wait()
        calls.append(1)
        raise ConnectionError("the broker is away")

    calls: list[int] = []
    monkeypatch.setattr(driven.backend, "state_of", state_of)
    run(driven, lambda _: Future())
    never.set()
    assert states(driven) == {SPECIAL: "unknown"}
