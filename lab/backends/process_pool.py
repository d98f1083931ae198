"""`concurrent.futures.ProcessPoolExecutor`, by each start method that the platform has."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from lab import kernel
from lab.backend import Backend
from lab.model import Capability, Task, Variant


def _variant(method: str) -> Variant:
    capabilities = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL})
    summary = f"Start method {method!r} (docs of multiprocessing, Contexts and start methods)."
    return Variant(method, capabilities, summary)


class ProcessPool(Backend):
    """Submits each task to one executor of `workers` processes.

    With `fork` all processes start at the first task; with the other methods one starts only when
    a task finds none idle. One dead child fails every unfinished future.
    """

    family = "processes"
    summary = "concurrent.futures.ProcessPoolExecutor"
    # The documentation promises that the platform's default comes first: fork on Linux until
    # Python 3.13, forkserver from 3.14, spawn on macOS and Windows.
    variants = tuple(_variant(method) for method in multiprocessing.get_all_start_methods())

    def start(self) -> None:
        """Make the executor; its processes start with the first tasks."""
        context = multiprocessing.get_context(self.setup.variant)
        self._pool = ProcessPoolExecutor(max_workers=self.workers, mp_context=context)

    def submit(self, task: Task) -> Future[Any]:
        """Submit the task and return its future."""
        return self._pool.submit(kernel.execute, task.id, task.function, task.argument)

    def result(self, handle: Future[Any], timeout_s: float) -> Any:
        """Wait for the future."""
        return handle.result(timeout_s)

    def stop(self) -> None:
        """Cancel what no process has yet and wait until all processes have ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return every setting of the executor; it reuses its processes without limit."""
        return {
            "max_workers": self.workers,
            "mp_context": self.setup.variant,
            "max_tasks_per_child": None,
        }
