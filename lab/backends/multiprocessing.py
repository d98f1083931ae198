"""`multiprocessing.Pool`, task by task or by map, with each start method of the platform."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.pool import AsyncResult
from typing import Any

from lab import kernel
from lab.backend import Backend
from lab.model import Capability, Task, Variant

MAP = "+map"


def _variants() -> tuple[Variant, ...]:
    single = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL})
    batches = frozenset({Capability.BATCH, Capability.PARALLEL})
    methods = multiprocessing.get_all_start_methods()
    alone = "Pool.apply_async, each task by itself, start method"
    mapped = "Pool.starmap, chunks of a quarter of each worker's share, start method"
    source = "(docs of multiprocessing, Process Pools)."
    return (
        *(Variant(method, single, f"{alone} {method!r} {source}") for method in methods),
        *(Variant(method + MAP, batches, f"{mapped} {method!r} {source}") for method in methods),
    )


class Multiprocessing(Backend):
    """Hands tasks to one Pool of `workers` processes, which all start with it.

    The two ways are variants, because chunks hide what a single task costs. `starmap` is one
    call: it returns when all tasks have ended, and a task that raises ends its chunk with it. The
    result of a task whose process was killed never comes (METHOD M29).
    """

    family = "processes"
    summary = "multiprocessing.Pool"
    # The platform's default start method comes first, as the documentation promises.
    variants = _variants()

    def start(self) -> None:
        """Start the pool and its processes."""
        context = multiprocessing.get_context(self.setup.variant.removesuffix(MAP))
        self._pool = context.Pool(self.workers)

    def submit(self, task: Task) -> AsyncResult[Any]:
        """Hand over the task and return its `AsyncResult`."""
        return self._pool.apply_async(kernel.execute, (task.id, task.function, task.argument))

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map over the batch and return when all of it has ended."""
        self._pool.starmap(kernel.execute, [(t.id, t.function, t.argument) for t in tasks])

    def result(self, handle: AsyncResult[Any], timeout_s: float) -> Any:
        """Wait for the `AsyncResult`, whose TimeoutError is not the built-in one."""
        try:
            return handle.get(timeout_s)
        except multiprocessing.TimeoutError as error:
            raise TimeoutError(f"A task had no result after {timeout_s} s.") from error

    def stop(self) -> None:
        """End the processes, whatever they do, and wait for their end."""
        self._pool.terminate()
        self._pool.join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return every setting of the pool; its processes live as long as it does."""
        is_mapped = self.setup.variant.endswith(MAP)
        return {
            "processes": self.workers,
            "start_method": self.setup.variant.removesuffix(MAP),
            "maxtasksperchild": None,
            "chunksize": "tasks / (4 * processes), rounded up" if is_mapped else 1,
        }
