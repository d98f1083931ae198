"""Tests what is no redelivery: a first start just after a hit, and a task without a record."""

from __future__ import annotations

import pytest

from lab.core.outcomes import TaskOutcome, TaskState
from tests.factories.scripted_system import ScriptedSystem


@pytest.mark.parametrize(
    ("starts_s", "delay_ns"),
    [
        ([10.002], None),  # between the instant of the hit and the death of the child
        ([9.98], None),
        ([9.98, 10.5], 500_000_000),
        ([10.002, 10.5], 500_000_000),
    ],
)
def test_only_a_later_execution_has_a_delay(starts_s: list[float], delay_ns: int | None) -> None:
    """Seen on celery: a task of the killed worker started 1.8 ms after the instant of the hit."""
    system = ScriptedSystem()
    system.submit(1, 9.9)
    for start_s in starts_s:
        system.execute(1, start_s, "unfinished")
    system.hit(10.0, [1], over_s=11.0)
    table, _ = system.judged(60.0)
    (delay,) = table["redelivery_ns"].astype(object)
    assert (None if str(delay) == "<NA>" else delay) == delay_ns
    assert (table["taken_over_by"].iloc[0] == "") == (delay_ns is None)


def test_a_task_without_a_record_is_lost_before_the_horizon() -> None:
    """A server that lost its data delivers nothing again, however long the drain is."""
    system = ScriptedSystem(horizon_s=900.0)
    for task_id in (1, 2):
        system.submit(task_id, 1.0)
    system.hit(2.0, [])
    system.states = {1: TaskState.MISSING, 2: TaskState.UNKNOWN}
    assert system.outcomes(4.0) == {1: TaskOutcome.LOST_SILENT, 2: TaskOutcome.UNDECIDED}
    assert system.outcomes(3.9) == {1: TaskOutcome.UNDECIDED, 2: TaskOutcome.UNDECIDED}
