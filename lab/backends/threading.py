"""Runs tasks in threads, in the two patterns of the standard library's documentation."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from lab.core.backend import Backend
from lab.core.environment import has_gil
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution

CAPABILITIES = frozenset({Capability.SUBMIT, Capability.PARALLEL})


class Threading(Backend):
    """Starts one thread per task, or `workers` threads over one queue.

    With one thread per task, a `BoundedSemaphore` limits the running tasks to `workers`. Each
    thread acquires the semaphore itself, as in the documentation of `threading` ("Semaphore
    example"): submitting never blocks, and each pending task occupies a waiting thread. Threads
    return no result, therefore there is no `Capability.RESULT`.
    """

    family = "threads"
    references = ("queue",)
    summary = "threading.Thread, one per task, or `workers` over queue.Queue"
    variants = (
        Variant(
            "thread-per-task",
            CAPABILITIES,
            "A Thread for each task, which acquires a BoundedSemaphore of `workers` (docs of "
            "threading, Semaphore example).",
            serializer=Serializer.MEMORY,
        ),
        Variant(
            "queue",
            CAPABILITIES,
            "`workers` daemon threads that read one queue.Queue (docs of queue, example "
            "under Queue.join).",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Create the semaphore, or the queue and its threads."""
        self._running = threading.BoundedSemaphore(self.workers)
        self._queue: queue.Queue[Task | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        if self.setup.variant == "queue":
            for _ in range(self.workers):
                thread = threading.Thread(target=self._serve, daemon=True)
                self._threads.append(thread)
                thread.start()

    def submit(self, task: Task) -> None:
        """Start a thread for the task, or put it into the queue."""
        if self._threads:
            self._queue.put(task)
        else:
            threading.Thread(target=self._bounded, args=task.arguments).start()

    def stop(self) -> None:
        """Drop the waiting tasks and stop the queue's threads; other threads end by themselves."""
        # Otherwise the threads would run all waiting tasks before they reach the end marks.
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        while self._threads:
            self._threads.pop().join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the limit, which is the only setting, and whether the interpreter has the GIL."""
        return {"workers": self.workers, "gil": has_gil()}

    def _bounded(self, *arguments: Any) -> None:
        with self._running:
            execution.execute(*arguments)

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                execution.execute(task.id, task.function, task.argument)
            except Exception:  # noqa: BLE001 (an exception of a task must not end its thread)
                traceback.print_exc()
            finally:
                # Part of the documented example, although the lab does not join the queue.
                self._queue.task_done()
