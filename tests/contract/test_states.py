"""Tests the states that adapters report, against real systems with one worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.core.outcomes import TaskState
from tests.contract import states
from tests.factories.trials import ask_beside, spec_of

Q, R, F = TaskState.QUEUED, TaskState.RUNNING, TaskState.FINISHED
FAILED, MISSING, UNKNOWN = TaskState.FAILED, TaskState.MISSING, TaskState.UNKNOWN
# The states of the sleeping and the waiting task, then of these and the one that raised.
CASES = {
    "thread-pool": ([R, Q], [F, F, FAILED]),
    # The executor hands one task more than it has processes over to them.
    "process-pool": ([R, R], [F, F, FAILED]),
    # A pool does not distinguish waiting from running tasks.
    "multiprocessing": ([R, R], [F, F, FAILED]),
    "pebble": ([R, Q], [F, F, FAILED]),
    "asyncio": ([Q, Q], [F, F, FAILED]),
    # A job leaves the store when an executor accepts it.
    "apscheduler": ([MISSING, MISSING], [MISSING, MISSING, MISSING]),
    "celery[prefork]": ([R, Q], [UNKNOWN, UNKNOWN, UNKNOWN]),
    "celery[prefork+results]": ([R, Q], [F, F, FAILED]),
    "rq": ([R, Q], [F, F, FAILED]),
    "django-rq": ([R, Q], [F, F, FAILED]),
    # huey removes a task from the queue before it runs.
    "huey": ([MISSING, Q], [F, F, FAILED]),
    "django-tasks[database+sqlite]": ([R, Q], [F, F, FAILED]),
    "django-tasks[rq]": ([R, Q], [F, F, FAILED]),
    # dramatiq stores a failure when no retry remains.
    "dramatiq[processes+results]": ([UNKNOWN, UNKNOWN], [F, F, UNKNOWN]),
    # taskiq has a result of a task that ended, and no record of the others.
    "taskiq[processes+stream+results]": ([UNKNOWN, UNKNOWN], [F, F, FAILED]),
    # The scheduler sends a worker one task more than it can execute.
    "dask[distributed]": ([R, R], [F, F, FAILED]),
    # A delivered row is locked, in a worker or in the cluster's queue.
    "django-q[orm+sqlite]": ([R, R], [F, F, FAILED]),
    "django-q[redis]": ([MISSING, MISSING], [F, F, FAILED]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("label", "expected"), CASES.items(), ids=CASES)
def test_states_are_those_of_the_system(
    label: str, expected: tuple[list[TaskState], list[TaskState]], tmp_path: Path
) -> None:
    """A running, a waiting, a finished and a failed task have the states of the system."""
    _, _, output = ask_beside(tmp_path, spec_of(label), states, label, json.dumps(expected))
    during, after = json.loads(output.splitlines()[-1])
    assert (list(during.values()), list(after.values())) == expected
