"""Reads the states of tasks that the system under test reported after a fault."""

from __future__ import annotations

from pathlib import Path

from lab.core import files
from lab.core.errors import ResultsError
from lab.core.outcomes import TaskState

NAME = "states.json"


def read_states(folder: Path) -> dict[int, TaskState]:
    """Return the state of each task whose state the driver read; empty if it read none.

    Raises:
        ResultsError: The file is damaged.
    """
    try:
        states = files.read_json(folder / NAME, folder)
        return {int(task_id): TaskState(state) for task_id, state in states.items()}
    except FileNotFoundError:
        return {}
    # JSON that is no object has no `items`, and a state may be of any type.
    except (OSError, ValueError, TypeError, AttributeError) as error:
        problem = " ".join(str(error).split())[:200]
        raise ResultsError(f"The driver's {NAME} is damaged: {problem}.") from error
