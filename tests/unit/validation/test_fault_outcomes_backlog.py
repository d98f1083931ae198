"""Tests KAT-15 for a slow system: tasks that wait in a backlog at the end are not lost."""

from __future__ import annotations

import pytest

from lab.core.outcomes import TaskOutcome, TaskState
from tests.factories.scripted_system import ScriptedSystem

Outcome = TaskOutcome
UNDECIDED = Outcome.UNDECIDED


def test_a_queued_task_is_not_lost_while_the_system_starts_others() -> None:
    """A backlog at the end of the drain is no loss; a task that the system does not know is."""
    system = ScriptedSystem(horizon_s=0.0)
    for task_id in (1, 2, 3):
        system.submit(task_id, 1.0)
    system.execute(1, 8.0)
    system.states = {2: TaskState.QUEUED, 3: TaskState.MISSING}
    assert system.outcomes(9.0) == {1: Outcome.OK, 2: UNDECIDED, 3: Outcome.LOST_SILENT}


@pytest.mark.parametrize("state", [None, TaskState.UNKNOWN])
def test_a_backlog_of_a_system_without_states_is_not_lost(state: TaskState | None) -> None:
    """Nothing that was sent later than tasks 3 and 4 has started; task 2 was overtaken."""
    system = ScriptedSystem(horizon_s=0.0)
    for task_id in (1, 2, 3, 4, 5):
        system.submit(task_id, float(task_id))
    for task_id, at_s in ((1, 7.0), (3, 8.0)):
        system.execute(task_id, at_s)
    if state:
        system.states = dict.fromkeys((2, 4, 5), state)
    done = {1: Outcome.OK, 3: Outcome.OK}
    assert system.outcomes(9.9) == {**done, 2: Outcome.LOST_SILENT, 4: UNDECIDED, 5: UNDECIDED}
    # The system has started nothing for `SHORTEST_WAIT_S`.
    assert system.outcomes(10.1) == {**done, **dict.fromkeys((2, 4, 5), Outcome.LOST_SILENT)}
    # It starts another one after the end, so it only was slow.
    system.execute(4, 10.2)
    assert system.outcomes(10.1) == {**done, 2: Outcome.LOST_SILENT, 4: UNDECIDED, 5: UNDECIDED}
