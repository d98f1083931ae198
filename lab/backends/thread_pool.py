"""Runs tasks with `concurrent.futures.ThreadPoolExecutor`, the standard library's thread pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lab.backends import _futures
from lab.core.backend import Backend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.core.outcomes import TaskState
from lab.worker import execution


class ThreadPool(Backend):
    """Submits each task to one executor of `workers` threads.

    The executor starts a thread only if a task arrives while none is idle. All threads exist after
    `workers` tasks have been pending at the same time.
    """

    family = "threads"
    ceilings = ("queue[simple-queue]",)
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
            carrier=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Create the executor."""
        self._pool = ThreadPoolExecutor(max_workers=self.workers)

    def submit(self, task: Task) -> Future[Any]:
        """Submit the task and return its future."""
        return self._pool.submit(execution.execute, task.id, task.function, task.argument)

    def result(self, handle: Future[Any], timeout_s: float) -> Any:
        """Wait for the future."""
        return handle.result(timeout_s)

    def state_of(self, handle: Future[Any]) -> TaskState:
        """Return the state of the future."""
        return _futures.state_of(handle)

    def submit_group(self, tasks: Sequence[Task]) -> Iterator[Any]:
        """Map over the group and return the iterator over results (docs, Executor.map)."""
        columns = zip(*((t.id, t.function, t.argument) for t in tasks), strict=True)
        return self._pool.map(execution.execute, *columns)

    def join(self, handle: Iterator[Any], timeout_s: float) -> None:
        """Exhaust the iterator, which waits for the end of each task."""
        deque(handle, maxlen=0)

    def stop(self) -> None:
        """Cancel the tasks that have not started, and wait for the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the size of the pool; its other arguments are for names and initialisers."""
        return {"max_workers": self.workers}
