"""Runs tasks in threads that read one queue: the reference for thread pools."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution

CAPABILITIES = frozenset({Capability.SUBMIT, Capability.PARALLEL})


class Queue(Backend):
    """Runs `workers` threads that read one queue; tasks return no result (METHOD M18, B1)."""

    family = "reference"
    summary = "threads over one queue: the reference for thread pools"
    variants = (
        Variant(
            "queue",
            CAPABILITIES,
            "queue.Queue, written in Python (docs of queue).",
            serializer=Serializer.MEMORY,
        ),
        Variant(
            "simple-queue",
            CAPABILITIES,
            "queue.SimpleQueue, written in C, which ThreadPoolExecutor uses (docs of queue).",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Start the threads."""
        is_simple = self.setup.variant == "simple-queue"
        self._tasks: Any = queue.SimpleQueue() if is_simple else queue.Queue()
        self._threads = [
            threading.Thread(target=self._serve, daemon=True) for _ in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Put the task into the queue."""
        self._tasks.put(task)

    def stop(self) -> None:
        """Drop the waiting tasks and stop the threads."""
        # Otherwise the threads would run all waiting tasks before they reach the end marks.
        with contextlib.suppress(queue.Empty):
            while True:
                self._tasks.get_nowait()
        # One mark per thread: the thread that reads it ends and reads no other.
        for _ in self._threads:
            self._tasks.put(None)
        while self._threads:
            self._threads.pop().join()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                execution.execute(task.id, task.function, task.argument)
            except Exception:  # noqa: BLE001 (an exception of a task must not end its thread)
                traceback.print_exc()
