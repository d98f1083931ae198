"""The task called where it is submitted: what no background system can be cheaper than."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Carrier, Task, Variant
from lab.worker import execution


class Inline(Backend):
    """Runs each task inside `submit`, in the submitter's thread.

    There is one worker, the submitter, so there is no `Capability.PARALLEL`. A task that raises
    does so out of `submit`, as out of any call.
    """

    family = "reference"
    summary = "plain function call in the submitting thread"
    variants = (
        Variant(
            "call",
            frozenset({Capability.SUBMIT, Capability.RESULT, Capability.GROUP, Capability.CHAIN}),
            "The function is called and returns its answer.",
            carrier=Carrier.MEMORY,
        ),
    )

    def start(self) -> None:
        """Do nothing: a call needs no preparation."""

    def submit(self, task: Task) -> Any:
        """Run the task and return its answer as the handle."""
        return execution.execute(task.id, task.function, task.argument)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Return the answer, which is there already."""
        return handle

    def submit_group(self, tasks: Sequence[Task]) -> None:
        """Run the tasks one after the other, which is a group and a chain."""
        for task in tasks:
            self.submit(task)

    submit_chain = submit_group

    def join(self, handle: Any, timeout_s: float) -> None:
        """Return at once: all has ended already."""

    def stop(self) -> None:
        """Do nothing: nothing was made."""
