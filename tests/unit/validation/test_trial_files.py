"""Tests of the numbers that are read from a trial's files."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.validation.trial_files import cut_short


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], 0),
        ([("measure", 1, "unfinished"), ("measure", 2, "ok")], 1),
        ([("measure", 1, "unfinished"), ("measure", 1, "unfinished")], 1),  # delivered again
        ([("measure", 1, "unfinished"), ("measure", 1, "ok")], 0),
        ([("warm_up", 1, "unfinished"), ("measure", 2, "unfinished")], 1),
        ([("warm_up", 1, "unfinished"), ("warm_up", 2, "unfinished"), ("measure", 3, "ok")], 2),
    ],
)
def test_a_task_that_was_delivered_twice_is_cut_short_once(
    rows: list[tuple[str, int, str]], expected: int
) -> None:
    """Executions are rows; the sentence of a failed trial counts tasks."""
    tasks = pd.DataFrame(rows, columns=["phase", "task_id", "outcome"])
    assert cut_short(tasks) == expected
