"""Runs tasks with Pebble: a pool of processes, by start method, and a pool of threads."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from lab.backends._futures import FutureBackend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution

PROMISED = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.GROUP})
THREADS = "threads"
# The default of this interpreter is the first.
METHODS = multiprocessing.get_all_start_methods()


def _processes(method: str) -> Variant:
    summary = f"ProcessPool.schedule, start method {method!r} (Pebble docs, ProcessPool)."
    return Variant(method, PROMISED, summary, {"start_method": method})


class Pebble(FutureBackend):
    """Schedules each task on one pool of `workers`, which all start with the first task.

    The pool replaces a process that dies. Its task fails with ProcessExpired and is not run again;
    the other tasks go on, which a ProcessPoolExecutor would fail.
    """

    family = "pebble"
    references = ("pipe",)
    summary = "pebble.ProcessPool and ThreadPool"
    packages = ("pebble",)
    extra = "pebble"
    by_default = False
    variants = (
        *map(_processes, METHODS),
        Variant(
            THREADS,
            PROMISED,
            "ThreadPool.schedule (Pebble docs, ThreadPool).",
            serializer=Serializer.MEMORY,
            references=("queue",),
        ),
    )

    def start(self) -> None:
        """Make the pool; its workers start with the first task."""
        from pebble import ProcessPool, ThreadPool

        if self.setup.variant == THREADS:
            self._pool = ThreadPool(max_workers=self.workers)
        else:
            context = multiprocessing.get_context(self.setup.settings["start_method"])
            self._pool = ProcessPool(max_workers=self.workers, context=context)

    def submit(self, task: Task) -> Future[Any]:
        """Schedule the task and return its future."""
        future: Future[Any] = self._pool.schedule(execution.execute, args=task.arguments)
        return future

    def submit_group(self, tasks: Sequence[Task]) -> Future[Any]:
        """Map over the group, one task per chunk, and return the future of its results."""
        columns = zip(*(task.arguments for task in tasks), strict=True)
        results: Future[Any] = self._pool.map(execution.execute, *columns)
        return results

    def join(self, handle: Future[Any], timeout_s: float) -> None:
        """Exhaust the results, which waits for the end of each task."""
        # `map` has its timeout for a chunk, so that `timeout_s` applies to the first result only;
        # the driver's deadline ends the trial.
        deque(handle.result(timeout_s), maxlen=0)

    def stop(self) -> None:
        """End the pool without the tasks that wait (Pebble docs, ProcessPool.stop)."""
        self._pool.stop()
        self._pool.join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of the pool: tasks have no timeout, and workers no limit of tasks."""
        settings = {"max_workers": self.workers, "max_tasks": 0, "timeout": None, "chunksize": 1}
        started = {} if self.setup.variant == THREADS else {"default_start_method": METHODS[0]}
        return {**settings, **started, **self.setup.settings}
