"""Tests trials whose tasks several drivers offer, each its share of one plan."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Arrival, BackendContext, Burst, Paced, Topology, TrialSpec
from lab.driver import several_drivers
from lab.driver.driver import Driver
from lab.driver.instrumentation_cost import NullBackend
from lab.driver.several_drivers import SeveralDrivers
from lab.planning import registry
from lab.planning.phases import Phase
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import Intent, executions, intents
from lab.worker.ledger import ACCEPTED, ACK, ERROR, T1, WORDS, Journal
from tests.factories import slow_client
from tests.factories.trials import run, spec_of
from tests.unit.driver.test_driver import driver_here

N = 60
THREE = Topology(1, 1, 1, drivers=3)


def spec_of_null(arrival: Arrival, **changes: Any) -> TrialSpec:
    """A trial with three drivers of `null`, which stamps records in the process that submits."""
    return spec_of("null", arrival=arrival, topology=THREE, **changes)


def offered(folder: Path, phase: Phase = Phase.MEASURE) -> list[Intent]:
    """Return the rows of a phase in a trial's journal."""
    return [row for row in intents(folder / "intents.bin")[1] if row.phase == phase.number]


def others(driven: Driver) -> list[several_drivers._Other]:
    """Return the further drivers of a trial, as its first one sees them."""
    assert isinstance(driven.offering, SeveralDrivers)
    return driven.offering._others


@pytest.mark.parametrize("arrival", [Paced(N, 1_000.0), Burst(N)])
def test_each_task_of_the_plan_is_offered_once(
    arrival: Arrival, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three drivers, each offers every third task; together they offer the plan."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of_null(arrival))
    driven.run()
    assert read_status(tmp_path)["reason"] == ""
    rows = offered(tmp_path)
    assert [row.task_id for row in rows] == [task.id for task in driven.tasks]
    assert all(row.acknowledged == ACCEPTED and row.t0_ns <= row.t1_ns <= row.t2_ns for row in rows)
    begin = read_status(tmp_path)["t_begin_ns"]
    assert [row.t0_ns - begin for row in rows] == driven.offsets
    done = [executions(path) for path in (tmp_path / "ledger").glob("*.bin")]
    ids = {header.pid: [run.task_id for run in runs] for header, runs in done}
    window = [{i for i in of_one if i in Phase.MEASURE.ids} for of_one in ids.values()]
    shares = [{task.id for task in driven.tasks[number::3]} for number in range(3)]
    assert sorted(window, key=min) == shares
    assert Counter(i for of_one in ids.values() for i in of_one).most_common(1)[0][1] == 1


def test_warm_up_tasks_are_divided_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So each client has its connection when the window begins."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of_null(Burst(3), warmup_tasks=5))
    driven.run()
    assert [row.acknowledged for row in offered(tmp_path, Phase.WARM_UP)] == [ACCEPTED] * 5


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Declare a backend whose submit call takes 5 ms, and return its label."""
    (tmp_path / "site").mkdir()
    slow_client.declare(tmp_path / "site", monkeypatch)
    yield slow_client.LABEL
    monkeypatch.undo()
    registry.refresh()


def test_three_drivers_make_a_rate_that_one_cannot(slow: str, tmp_path: Path) -> None:
    """At 400 a second, calls of 5 ms take twice the time of one driver, and 67 % of that of three.

    So one driver needs at least 2 s for 400 tasks, whatever the machine does.
    """
    n, least_s = 400, 400 * slow_client.SUBMIT_S
    took_s, ceilings = dict[int, float](), dict[int, float]()
    for drivers in (1, 3):
        topology = Topology(1, 1, 1, drivers=drivers)
        spec = spec_of(slow, arrival=Paced(n, 400.0, "uniform"), topology=topology)
        result = run(tmp_path, spec)
        assert (result.row.status, result.row.reason) == ("ok", "")
        assert result.row.drivers == drivers
        assert (result.row.n_sent, result.row.n_done, result.row.n_duplicated) == (n, n, 0)
        submits = result.tables["submit"]
        window = submits[submits.phase == "measure"]
        assert window.task_id.is_unique
        took_s[drivers] = (window.t2_ns.max() - window.t1_ns.min()) / 1e9
        ceilings[drivers] = result.row.ceiling_per_s or 0.0
        is_late = "generator_limited: achieved rate" in result.row.flag_reasons
        assert is_late or drivers > 1
    assert took_s[1] >= least_s
    assert took_s[1] > took_s[3]
    assert ceilings[3] > ceilings[1] <= 1 / slow_client.SUBMIT_S


def test_a_further_driver_that_ends_fails_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has its number, which counts from 1, and where its error is."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of_null(Burst(N)))
    monkeypatch.setattr(others(driven)[0], "_command", [sys.executable, "-c", "print()"])
    driven.run()
    assert read_status(tmp_path)["status"] == "failed"
    assert read_status(tmp_path)["reason"] == (
        "Driver 2 ended early. See logs/driver.log of this trial."
    )


def test_a_further_driver_whose_client_does_not_start_fails_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has its error, and no task is offered."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of_null(Burst(N)))
    command = [sys.executable, "-c", "print('ConnectionError: no server')"]
    monkeypatch.setattr(others(driven)[1], "_command", command)
    driven.run()
    assert read_status(tmp_path)["reason"] == "Driver 3 did not start: ConnectionError: no server"
    assert not offered(tmp_path)


def test_an_error_of_a_further_driver_is_that_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks that it could not offer are refused, and the others are offered."""
    driven = driver_here(tmp_path, monkeypatch, [], spec_of_null(Paced(N, 1_000.0), warmup_tasks=0))
    answers = iter(["", "", "ConnectionError: the queue is full"])
    answer = several_drivers._Other.answer

    def with_error(other: several_drivers._Other) -> str:
        return (answer(other), next(answers, ""))[1] if other.name == "Driver 2" else answer(other)

    monkeypatch.setattr(several_drivers._Other, "answer", with_error)
    driven.run()
    assert read_status(tmp_path)["submit_error"] == "ConnectionError: the queue is full"


def test_accepted_tasks_of_all_drivers_are_counted_while_they_are_offered(tmp_path: Path) -> None:
    """A refused task is passed and not counted; those after an open call are not counted yet."""
    journal = Journal(str(tmp_path / "intents.bin"), 9)
    backend = NullBackend(BackendContext("", "", "", THREE, {}, {}))
    offering = SeveralDrivers(backend, frozenset(), journal, tmp_path, 2)
    rows = journal.plan(range(8), Phase.MEASURE.number, [0] * 8)
    (other,) = offering._others
    other.order(Phase.MEASURE, rows.start, rows[1::2])
    for row, result in zip(rows[1::2], (ACCEPTED, ERROR, ACCEPTED), strict=False):
        journal.words[row + ACK] = result
        journal.words[row + T1] = 1
    offering.accepted = 3
    assert (offering.n_accepted, offering.n_accepted) == (5, 5)
    journal.words[rows.start + 7 * WORDS + ACK] = ACCEPTED
    assert offering.n_accepted == 6
    offering.forget()
    assert offering.n_accepted == 0
