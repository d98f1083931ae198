"""Tests the arguments that a system passes to `execute`."""

from __future__ import annotations

import pytest

from lab.core.task import Job, Task


@pytest.mark.parametrize("work", [Task(1, "m:run", [2]), Job(1, "m:run", [2], every_s=3.0)])
def test_arguments_are_those_of_execute(work: Task | Job) -> None:
    """A job has them in each run."""
    assert work.arguments == (1, "m:run", [2])
