"""Tests the process that offers one share of the tasks of a trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.model import Burst, Topology
from lab.driver.further_driver import JOURNAL, FurtherDriver
from lab.planning import registry
from lab.planning.phases import Phase
from lab.recording.ledger_reader import intents
from lab.worker.ledger import ACCEPTED
from tests.factories.trials import spec_of
from tests.unit.driver.test_driver import driver_here

SPEC = spec_of("null", arrival=Burst(7), warmup_tasks=4, topology=Topology(1, 1, 1, drivers=3))


def test_it_offers_its_share_when_it_is_ordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stores the instants of tasks 1, 4, ... in the journal, and answers each order once."""
    first = driver_here(tmp_path, monkeypatch, [], SPEC)
    journal = first.offering.journal
    warm_up = journal.plan(range(4), Phase.WARM_UP.number, [5] * 4)
    window = journal.plan(range(7), Phase.MEASURE.number, [6] * 7)
    orders = iter([f"warm_up {warm_up.start}\n", f"measure {window.start}\n", "stop\n"])
    answers: list[str] = []
    FurtherDriver(tmp_path, 1, answers.append, lambda: next(orders).encode()).run()
    assert answers == ["", "", ""]
    rows = list(intents(tmp_path / JOURNAL)[1])
    accepted = [(row.phase, row.task_id) for row in rows if row.acknowledged == ACCEPTED]
    assert accepted == [(Phase.WARM_UP.number, 1), *((Phase.MEASURE.number, i) for i in (1, 4))]
    assert all((row.t1_ns > 0) is (row.acknowledged == ACCEPTED) for row in rows)


def test_a_client_that_does_not_start_is_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing follows it: the process ends."""
    driver_here(tmp_path, monkeypatch, [], SPEC)

    def refuse(_: object) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(registry.select("null").backend, "start", refuse)
    answers: list[str] = []
    FurtherDriver(tmp_path, 1, answers.append, lambda: b"stop\n").run()
    assert answers == ["ConnectionError: no server"]
