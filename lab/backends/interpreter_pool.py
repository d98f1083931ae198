"""Runs tasks with `concurrent.futures.InterpreterPoolExecutor`, which is new in Python 3.14."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lab.backends._futures import ExecutorBackend
from lab.core.environment import has_gil
from lab.core.model import Capability, Variant


class InterpreterPool(ExecutorBackend):
    """Submits each task to one executor of `workers` threads, each with its own interpreter.

    Each interpreter has its own GIL and its own modules, so a task is pickled as for another
    process. The executor starts a thread and its interpreter only if a task arrives while none is
    idle.
    """

    family = "threads"
    python = (3, 14)
    by_default = False
    # The executor's queue is that of a thread pool (METHOD M18, B1).
    references = ("queue[simple-queue]",)
    summary = "concurrent.futures.InterpreterPoolExecutor (Python 3.14)"
    variants = (
        Variant(
            "executor",
            frozenset(
                {Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.GROUP}
            ),
            "Executor.submit and Future.result (docs of concurrent.futures).",
        ),
    )

    def start(self) -> None:
        """Create the executor; its interpreters start with the first tasks."""
        if sys.version_info >= (3, 14):  # trials in an older one are skipped
            from concurrent.futures import InterpreterPoolExecutor

            self._pool = InterpreterPoolExecutor(max_workers=self.workers)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the size of the pool, and whether the interpreter has the GIL.

        Other arguments of the pool are for names and initialisers.
        """
        return {"max_workers": self.workers, "gil": has_gil()}
