"""Runs tasks in processes that read one pipe: the reference for process pools."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Task, Variant
from lab.core.outcomes import AckMeans
from lab.worker import execution

Calls = Sequence[tuple[int, str, Any]]


class Pipe(Backend):
    """Runs `workers` processes that read one `multiprocessing.SimpleQueue`: a pipe and two locks.

    Tasks return no result (METHOD M18, B2). The start method is the interpreter's default.
    """

    family = "reference"
    summary = "processes over one pipe: the reference for process pools"
    variants = (
        Variant(
            "simple-queue",
            frozenset({Capability.SUBMIT, Capability.PARALLEL}),
            "One message of multiprocessing.SimpleQueue per task (docs of multiprocessing).",
            ack_means=AckMeans.SOCKET,
        ),
        Variant(
            "shares",
            frozenset({Capability.BATCH, Capability.PARALLEL}),
            "One message per worker with its share of a batch: the reference for chunks.",
            ack_means=AckMeans.SOCKET,
        ),
    )

    def start(self) -> None:
        """Start the processes."""
        context = multiprocessing.get_context()
        # The caller itself writes into the pipe; a multiprocessing.Queue would add a feeder thread
        # (docs of multiprocessing, Pipes and Queues).
        self._calls = context.SimpleQueue()
        self._processes = [
            context.Process(target=serve, args=(self._calls,), daemon=True)
            for _ in range(self.workers)
        ]
        for process in self._processes:
            process.start()

    def submit(self, task: Task) -> None:
        """Write the task into the pipe; the call waits while the pipe is full."""
        self._calls.put([(task.id, task.function, task.argument)])

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Write one message for each worker."""
        calls = [(t.id, t.function, t.argument) for t in tasks]
        # Shares differ by one task at most, and a batch with fewer tasks has no empty message.
        for first in range(min(self.workers, len(calls))):
            self._calls.put(calls[first :: self.workers])

    def stop(self) -> None:
        """Kill the processes, even during a task, and wait for their end."""
        for process in self._processes:
            process.kill()
        while self._processes:
            self._processes.pop().join()
        self._calls.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the start method of its processes."""
        return {**self.setup.settings, "start_method": multiprocessing.get_start_method()}


def serve(calls: multiprocessing.SimpleQueue[Calls]) -> None:
    """Run the calls of each message until this process is killed."""
    while True:
        for call in calls.get():
            try:
                execution.execute(*call)
            except Exception:  # noqa: BLE001 (an exception of a task must not end its process)
                traceback.print_exc()
