"""Records each task as completed without running it: the reference for the instrumentation."""

from __future__ import annotations

from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution


class Null(Backend):
    """Completes every task immediately and runs none (METHOD M19).

    Its rate is the upper limit of what the lab can measure: a similar rate of a backend is
    dominated by the cost of the lab.
    """

    family = "reference"
    summary = "ledger record without a task: the reference for the instrumentation"
    executes = False
    variants = (
        Variant(
            "stamp",
            frozenset({Capability.SUBMIT, Capability.RESULT}),
            "Records the task as started and finished without a call; its answer is None.",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Do nothing, because a record needs no preparation."""

    def submit(self, task: Task) -> None:
        """Record the task as started and finished."""
        execution.stamp(task.id)

    def result(self, handle: Any, timeout_s: float) -> None:
        """Return None, the answer of a task that was not run."""

    def stop(self) -> None:
        """Do nothing, because `start` created nothing."""
