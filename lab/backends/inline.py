"""Calls each task where it is submitted: the reference for the cost of background execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution


class Inline(Backend):
    """Runs each task inside `submit`, in the driver's thread.

    The only worker is the driver, therefore there is no `Capability.PARALLEL`. `submit` raises the
    exception of a failed task.
    """

    family = "reference"
    summary = "plain function call in the submitting thread"
    variants = (
        Variant(
            "call",
            frozenset({Capability.SUBMIT, Capability.RESULT, Capability.GROUP, Capability.CHAIN}),
            "Calls the function and returns its answer.",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Do nothing, because a call needs no preparation."""

    def submit(self, task: Task) -> Any:
        """Run the task and return its answer as the handle."""
        return execution.execute(task.id, task.function, task.argument)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Return the answer, which is the handle."""
        return handle

    def submit_group(self, tasks: Sequence[Task]) -> None:
        """Run the tasks one after the other, for a group or a chain."""
        for task in tasks:
            self.submit(task)

    # Each call returns before the next one begins, so that the tasks are a chain as well.
    submit_chain = submit_group

    def stop(self) -> None:
        """Do nothing, because `start` created nothing."""
