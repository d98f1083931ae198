"""Runs tasks with `concurrent.futures.ThreadPoolExecutor`, the standard library's thread pool."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab.backends._futures import ExecutorBackend
from lab.core.environment import has_gil
from lab.core.model import Capability, Serializer, Variant


class ThreadPool(ExecutorBackend):
    """Submits each task to one executor of `workers` threads.

    The executor starts a thread only if a task arrives while none is idle. All threads exist after
    `workers` tasks have been pending at the same time.
    """

    family = "threads"
    # The executor's queue is a SimpleQueue, so the reference has the same one (METHOD M18, B1).
    references = ("queue[simple-queue]",)
    summary = "concurrent.futures.ThreadPoolExecutor"
    variants = (
        Variant(
            "executor",
            frozenset(
                {
                    Capability.SUBMIT,
                    Capability.RESULT,
                    Capability.PARALLEL,
                    Capability.GROUP,
                }
            ),
            "Executor.submit and Future.result (docs of concurrent.futures).",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Create the executor."""
        self._pool = ThreadPoolExecutor(max_workers=self.workers)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the size of the pool, and whether the interpreter has the GIL.

        Other arguments of the pool are for names and initialisers.
        """
        return {"max_workers": self.workers, "gil": has_gil()}
