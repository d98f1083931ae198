"""Shares the code of backends whose handles are futures of `concurrent.futures`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Task
from lab.core.outcomes import TaskState
from lab.worker import execution


def state_of(future: Future[Any]) -> TaskState:
    """Return the state of a future (docs of concurrent.futures, Future Objects)."""
    if not future.done():
        return TaskState.RUNNING if future.running() else TaskState.QUEUED
    # In this order, because `exception` of a cancelled future raises CancelledError.
    failed = future.cancelled() or future.exception() is not None
    return TaskState.FAILED if failed else TaskState.FINISHED


class FutureBackend(Backend):
    """Returns a future of each task."""

    def result(self, handle: Future[Any], timeout_s: float) -> Any:
        """Wait for the future."""
        return handle.result(timeout_s)

    def state_of(self, handle: Future[Any]) -> TaskState:
        """Return the state of the future; after the death of a process, it has an exception."""
        return state_of(handle)


class ExecutorBackend(FutureBackend):
    """Submits tasks to an executor, which `start` of a subclass assigns to `_pool`."""

    _pool: Executor

    def submit(self, task: Task) -> Future[Any]:
        """Submit the task and return its future."""
        return self._pool.submit(execution.execute, *task.arguments)

    def submit_group(self, tasks: Sequence[Task]) -> Iterator[Any]:
        """Map over the group and return the iterator over results (docs, Executor.map)."""
        return self.map(tasks, chunksize=1)

    def map(self, tasks: Sequence[Task], *, chunksize: int) -> Iterator[Any]:
        """Map over the tasks; `chunksize` is the number that a process receives at once."""
        # `Executor.map` takes one iterable per parameter of the function.
        columns = zip(*(task.arguments for task in tasks), strict=True)
        return self._pool.map(execution.execute, *columns, chunksize=chunksize)

    def join(self, handle: Iterator[Any], timeout_s: float) -> None:
        """Exhaust the iterator, which waits for the end of each task."""
        # Results have only the timeout of `map`, which counts from that call, so `timeout_s` cannot
        # apply; the driver's deadline ends the trial.
        deque(handle, maxlen=0)

    def stop(self) -> None:
        """Cancel the tasks that have not started, and wait for the end of the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)
