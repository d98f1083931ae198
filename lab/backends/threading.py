"""Bare threads, in the two shapes that the standard library's documentation shows."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Carrier, Task, Variant
from lab.worker import execution

CAPABILITIES = frozenset({Capability.SUBMIT, Capability.PARALLEL})


class Threading(Backend):
    """One thread a task, or a few threads over one queue.

    With a thread a task, `workers` bounds how many run at once by a `BoundedSemaphore`. Each
    thread takes the semaphore itself, as in the documentation of `threading` ("Semaphore
    example"): the submitter is never held up, and the price is one waiting thread for each task
    offered too early. Threads hand no result back, so there is no `Capability.RESULT`.
    """

    family = "threads"
    ceilings = ("queue",)
    summary = "threading.Thread, one a task or a few over queue.Queue"
    variants = (
        Variant(
            "thread-per-task",
            CAPABILITIES,
            "A Thread for each task, which waits for one of `workers` places of a "
            "BoundedSemaphore (docs of threading, Semaphore example).",
            carrier=Carrier.MEMORY,
        ),
        Variant(
            "queue",
            CAPABILITIES,
            "`workers` daemon threads that take from one queue.Queue (docs of queue, example "
            "under Queue.join).",
            carrier=Carrier.MEMORY,
        ),
    )

    def start(self) -> None:
        """Make the semaphore, or the queue and its threads."""
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
            arguments = (task.id, task.function, task.argument)
            threading.Thread(target=self._bounded, args=arguments).start()

    def stop(self) -> None:
        """Drop what no thread took yet and end the queue's threads; others end by themselves."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        while self._threads:
            self._threads.pop().join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the bound, which is the only setting there is."""
        return {"workers": self.workers}

    def _bounded(self, *arguments: Any) -> None:
        with self._running:
            execution.execute(*arguments)

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                execution.execute(task.id, task.function, task.argument)
            except Exception:  # noqa: BLE001 (a task that raises must not take its thread along)
                traceback.print_exc()
            finally:
                self._queue.task_done()
