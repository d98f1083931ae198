"""`multiprocessing.Pool`, task by task or by map, with each start method of the platform."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.pool import AsyncResult
from typing import Any

from lab.core.backend import Backend
from lab.core.model import Capability, Task, Variant
from lab.worker import execution

SINGLE = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.GROUP})
BATCHES = frozenset({Capability.BATCH, Capability.PARALLEL, Capability.GROUP})
METHODS = multiprocessing.get_all_start_methods()


def _alone(method: str) -> Variant:
    about = f"Pool.apply_async, each task by itself, start method {method!r}"
    source = "(docs of multiprocessing, Process Pools)."
    return Variant(method, SINGLE, f"{about} {source}", {"start_method": method})


def _mapped(method: str, name: str, about: str, chunksize: int | None) -> Variant:
    source = "(docs of multiprocessing, Process Pools)."
    summary = f"Pool.starmap, {about}, start method {method!r} {source}"
    settings = {"start_method": method, "chunksize": chunksize}
    ceilings = ("pipe",) if chunksize == 1 else ("pipe[shares]",)
    return Variant(f"{method}+{name}", BATCHES, summary, settings, ceilings=ceilings)


class Multiprocessing(Backend):
    """Hands tasks to one Pool of `workers` processes, which all start with it.

    The ways are variants, because chunks hide what a single task costs; larger ones are the
    documentation's only advice on speed, and what `starmap` makes when nobody says. `starmap` is
    one call: it returns when all tasks have ended, and a task that raises ends its chunk with it.
    The result of a task whose process was killed never comes (METHOD M29).
    """

    family = "processes"
    ceilings = ("pipe",)
    summary = "multiprocessing.Pool"
    # The platform's default start method comes first, as the documentation promises.
    variants = (
        *(_alone(method) for method in METHODS),
        *(_mapped(m, "map", "chunks of a quarter of each worker's share", None) for m in METHODS),
        *(_mapped(m, "map+chunk-1", "each task a chunk", 1) for m in METHODS),
    )

    def start(self) -> None:
        """Start the pool and its processes."""
        context = multiprocessing.get_context(str(self.setup.settings["start_method"]))
        self._pool = context.Pool(self.workers)

    def submit(self, task: Task) -> AsyncResult[Any]:
        """Hand over the task and return its `AsyncResult`."""
        return self._pool.apply_async(execution.execute, (task.id, task.function, task.argument))

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map over the batch and return when all of it has ended."""
        calls = [(t.id, t.function, t.argument) for t in tasks]
        self._pool.starmap(execution.execute, calls, self.setup.settings["chunksize"])

    def result(self, handle: AsyncResult[Any], timeout_s: float) -> Any:
        """Wait for the `AsyncResult`, whose TimeoutError is not the built-in one."""
        try:
            return handle.get(timeout_s)
        except multiprocessing.TimeoutError as error:
            raise TimeoutError(f"A task had no result after {timeout_s} s.") from error

    def submit_group(self, tasks: Sequence[Task]) -> AsyncResult[Any]:
        """Map over the group and return its one result; of single tasks each is a chunk."""
        calls = [(t.id, t.function, t.argument) for t in tasks]
        chunksize = self.setup.settings.get("chunksize", 1)
        return self._pool.starmap_async(execution.execute, calls, chunksize)

    def join(self, handle: AsyncResult[Any], timeout_s: float) -> None:
        """Wait for the group's result."""
        self.result(handle, timeout_s)

    def stop(self) -> None:
        """End the processes, whatever they do, and wait for their end."""
        self._pool.terminate()
        self._pool.join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return every setting of the pool; its processes live as long as it does."""
        # None means tasks / (4 * processes), rounded up.
        fixed = {"processes": self.workers, "maxtasksperchild": None}
        return {**fixed, **self.setup.settings}
