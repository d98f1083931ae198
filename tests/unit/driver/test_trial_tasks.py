"""Tests that each driver makes the same tasks of a trial, whichever share it makes."""

from __future__ import annotations

from lab.driver.trial_tasks import TrialTasks
from lab.planning.phases import Phase
from tests.factories.trials import spec_of


def test_a_share_has_the_tasks_of_the_whole() -> None:
    """Ids and arguments depend on the index alone."""
    tasks = TrialTasks(spec_of("null", "payload", size=64), frozenset())
    whole = tasks.of_workload(Phase.MEASURE, range(10))
    assert [task.id for task in whole] == list(Phase.MEASURE.ids[:10])
    assert tasks.of_workload(Phase.MEASURE, range(1, 10, 3)) == whole[1::3]
