"""Accepts a task, stamps it and completes it without running it: the harness's own ceiling."""

from __future__ import annotations

from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Carrier, Task, Variant
from lab.worker import execution


class Null(Backend):
    """Completes every task at once and runs none (METHOD M19).

    No system can be measured faster than this one; a rate near it says more about the lab than
    about the system.
    """

    family = "reference"
    summary = "ledger stamp without any task: the ceiling of the harness"
    executes = False
    variants = (
        Variant(
            "stamp",
            frozenset({Capability.SUBMIT, Capability.RESULT}),
            "The task is recorded as started and finished and never called; its answer is None.",
            carrier=Carrier.MEMORY,
        ),
    )

    def start(self) -> None:
        """Do nothing: a stamp needs no preparation."""

    def submit(self, task: Task) -> None:
        """Record the task as started and finished."""
        execution.stamp(task.id)

    def result(self, handle: Any, timeout_s: float) -> None:
        """Return None, the answer of a task that nobody ran."""

    def stop(self) -> None:
        """Do nothing: nothing was made."""
