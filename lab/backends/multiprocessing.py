"""Runs tasks with `multiprocessing.Pool`, singly or by map, with each start method."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.pool import AsyncResult
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Task, Variant
from lab.core.outcomes import TaskState
from lab.worker import execution

SINGLE = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.GROUP})
BATCHES = frozenset({Capability.BATCH, Capability.PARALLEL, Capability.GROUP})
# The default of this interpreter is the first, as documented: forkserver on Linux from Python 3.14.
METHODS = multiprocessing.get_all_start_methods()
SOURCE = "(docs of multiprocessing, Process Pools)."


def _single(method: str) -> Variant:
    summary = f"Pool.apply_async, each task separately, start method {method!r} {SOURCE}"
    return Variant(method, SINGLE, summary, {"start_method": method})


def _mapped(method: str, name: str, chunks: str, chunksize: int | None) -> Variant:
    summary = f"Pool.starmap, {chunks}, start method {method!r} {SOURCE}"
    settings = {"start_method": method, "chunksize": chunksize}
    # Chunks are bounded by a reference that also sends several tasks in one message (METHOD M18).
    references = ("pipe",) if chunksize == 1 else ("pipe[shares]",)
    return Variant(f"{method}+{name}", BATCHES, summary, settings, references=references)


class Multiprocessing(Backend):
    """Submits tasks to one Pool of `workers` processes, which all start with it.

    Single tasks and chunks are separate variants, because chunks hide the cost of a single task.
    Larger chunks are the documentation's only advice on speed, and the default of `starmap`.
    `starmap` is one call: it returns when all tasks have ended, and an exception ends the rest of
    its chunk. A task whose process is killed has no result (METHOD M29).
    """

    family = "processes"
    references = ("pipe",)
    summary = "multiprocessing.Pool"
    variants = (
        *(_single(method) for method in METHODS),
        *(_mapped(m, "map", "chunks of a quarter of each worker's share", None) for m in METHODS),
        *(_mapped(m, "map+chunk-1", "one task per chunk", 1) for m in METHODS),
    )

    def start(self) -> None:
        """Start the pool and its processes."""
        self._context = multiprocessing.get_context(str(self.setup.settings["start_method"]))
        self._pool = self._context.Pool(self.workers)

    def submit(self, task: Task) -> AsyncResult[Any]:
        """Submit the task and return its `AsyncResult`."""
        return self._pool.apply_async(execution.execute, task.arguments)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map over the batch and return when all tasks have ended."""
        calls = [task.arguments for task in tasks]
        self._pool.starmap(execution.execute, calls, self.setup.settings["chunksize"])

    def result(self, handle: AsyncResult[Any], timeout_s: float) -> Any:
        """Wait for the `AsyncResult`, whose TimeoutError is not the built-in one."""
        try:
            return handle.get(timeout_s)
        except multiprocessing.TimeoutError as error:
            raise TimeoutError(f"A task had no result after {timeout_s} s.") from error

    def state_of(self, handle: AsyncResult[Any]) -> TaskState:
        """Return the state of the result, which never becomes ready if its process is killed.

        The pool does not distinguish waiting from running calls.
        """
        # First, because `successful` raises ValueError before the call is ready.
        if not handle.ready():
            return TaskState.RUNNING
        return TaskState.FINISHED if handle.successful() else TaskState.FAILED

    def submit_group(self, tasks: Sequence[Task]) -> AsyncResult[Any]:
        """Map over the group and return its result; variants of single tasks use chunks of 1."""
        calls = [task.arguments for task in tasks]
        chunksize = self.setup.settings.get("chunksize", 1)
        return self._pool.starmap_async(execution.execute, calls, chunksize)

    def stop(self) -> None:
        """Terminate the processes, even during a task, and wait for their end."""
        # `close` and `join` would wait for all outstanding tasks first (docs, Pool.close).
        self._pool.terminate()
        self._pool.join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return all settings of the pool, and the default start method of the interpreter.

        Its processes are not replaced. A chunksize of None means tasks / (4 * processes), rounded
        up.
        """
        return {
            "processes": self.workers,
            "maxtasksperchild": None,
            **self.setup.settings,
            "start_method": self._context.get_start_method(),
            "default_start_method": METHODS[0],
        }
