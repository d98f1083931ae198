"""Tests that all processes of a trial use the same clock (KAT-11), and the proof of workers."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lab.core.errors import LabError
from lab.core.model import Topology
from lab.driver import readiness
from lab.worker import ledger

EXCHANGES = 20_000


def _echo(connection: Connection) -> None:
    while (sent := connection.recv()) is not None:
        connection.send((sent, time.monotonic_ns()))


def test_no_exchange_between_two_processes_is_inverted() -> None:
    """Send < receive < reply holds in every exchange of a ping-pong."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_echo, args=(theirs,))
    child.start()
    inversions = 0
    for _ in range(EXCHANGES):
        ours.send(time.monotonic_ns())
        sent, received = ours.recv()
        inversions += not sent <= received <= time.monotonic_ns()
    ours.send(None)
    child.join()
    assert inversions == 0


def _record(folder: Path, monkeypatch: pytest.MonkeyPatch, started_ns: int, answer: int) -> None:
    for name, value in {"LEDGER": str(folder), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    words, row = ledger.begin(4, 0, started_ns)
    ledger.finish(words, row, 600, answer)
    ledger._forget()


def test_a_worker_in_another_time_namespace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock may be shifted, so that its instants cannot be compared."""
    _record(tmp_path, monkeypatch, 500, 8)
    monkeypatch.setattr(readiness, "time_namespace", lambda: -1)
    with pytest.raises(LabError, match="another time namespace"):
        readiness.is_proven(tmp_path, {4: 8}, 400, 700, Topology(1, 1, 1))


@pytest.mark.parametrize(("sent_ns", "seen_ns"), [(501, 700), (400, 599)])
def test_a_task_outside_its_exchange_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent_ns: int, seen_ns: int
) -> None:
    """A start before the submit call, or an end after its observation, shows different clocks."""
    _record(tmp_path, monkeypatch, 500, 8)
    with pytest.raises(LabError, match="Clocks disagree"):
        readiness.is_proven(tmp_path, {4: 8}, sent_ns, seen_ns, Topology(1, 1, 1))


def test_a_wrong_answer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer ends the trial before the window."""
    _record(tmp_path, monkeypatch, 500, 9)
    with pytest.raises(LabError, match="wrong answer"):
        readiness.is_proven(tmp_path, {4: 8}, 400, 700, Topology(1, 1, 1))


def test_a_missing_worker_is_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker does not prove two workers, or two nodes."""
    _record(tmp_path, monkeypatch, 500, 8)
    assert readiness.is_proven(tmp_path, {4: 8}, 400, 700, Topology(1, 1, 1))
    assert not readiness.is_proven(tmp_path, {4: 8}, 400, 700, Topology(1, 2, 2))
    assert not readiness.is_proven(tmp_path, {4: 8}, 400, 700, Topology(2, 1, 1))


def test_overlap_counts_spans_at_one_instant() -> None:
    """Spans overlap only if they share more than an instant."""
    assert readiness.most_at_once([(0, 5), (5, 9), (1, 4), (2, 3)]) == 3
    assert readiness.most_at_once([(0, 5), (5, 9)]) == 1
    assert readiness.most_at_once([]) == 0
