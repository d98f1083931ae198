"""Processes that read tasks from one pipe, and nothing else: what no pool of them can beat."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Sequence
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Task, Variant
from lab.worker import execution

Calls = Sequence[tuple[int, str, Any]]


class Pipe(Backend):
    """Has `workers` processes read one `multiprocessing.SimpleQueue`: a pipe and two locks.

    No result comes back (METHOD M18, B2). The processes start as the platform's default says.
    """

    family = "reference"
    summary = "processes over one pipe: the ceiling of process pools"
    variants = (
        Variant(
            "simple-queue",
            frozenset({Capability.SUBMIT, Capability.PARALLEL}),
            "Each task a message of multiprocessing.SimpleQueue (docs of multiprocessing).",
        ),
        Variant(
            "shares",
            frozenset({Capability.BATCH, Capability.PARALLEL}),
            "Of a batch each worker gets its share in one message: what chunks can reach.",
        ),
    )

    def start(self) -> None:
        """Start the processes."""
        context = multiprocessing.get_context()
        self._calls = context.SimpleQueue()
        self._processes = [
            context.Process(target=serve, args=(self._calls,), daemon=True)
            for _ in range(self.workers)
        ]
        for process in self._processes:
            process.start()

    def submit(self, task: Task) -> None:
        """Write the task into the pipe; while that is full, the call waits."""
        self._calls.put([(task.id, task.function, task.argument)])

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Write a message for each worker."""
        calls = [(t.id, t.function, t.argument) for t in tasks]
        for first in range(min(self.workers, len(calls))):
            self._calls.put(calls[first :: self.workers])

    def stop(self) -> None:
        """End the processes, whatever they do, and wait for their end."""
        for process in self._processes:
            process.kill()
        while self._processes:
            self._processes.pop().join()
        self._calls.close()


def serve(calls: multiprocessing.SimpleQueue[Calls]) -> None:
    """Run what comes, until this process is ended."""
    while True:
        for call in calls.get():
            try:
                execution.execute(*call)
            except Exception:  # noqa: BLE001 (a task that raises must not take its process along)
                traceback.print_exc()
