"""Tests the reader of the states that a system reported for its tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.core.errors import ResultsError
from lab.core.outcomes import TaskState
from lab.recording.task_states import NAME, read_states


def test_states_are_read_by_task_id(tmp_path: Path) -> None:
    """Every state of a system has its text in the file; a trial without the file has none."""
    assert read_states(tmp_path) == {}
    states = dict(enumerate(TaskState))
    (tmp_path / NAME).write_text(json.dumps(states))
    assert read_states(tmp_path) == states


@pytest.mark.parametrize(
    "text", ["", "[]", '{"1": "asleep"}', '{"one": "queued"}', '{"1": 2}', '{"1": ["queued"]}']
)
def test_a_damaged_file_is_reported(tmp_path: Path, text: str) -> None:
    """A state that does not exist, or that belongs to no task, is no state."""
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ResultsError, match="states.json is damaged"):
        read_states(tmp_path)
