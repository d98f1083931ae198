"""One event loop in a thread beside the submitter's; tasks are coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from lab import kernel
from lab.backend import Backend
from lab.model import Capability, Task, Variant


class Asyncio(Backend):
    """Runs coroutines in one event loop.

    There is no second worker to have: `workers` is how many coroutines may run at once, held by
    an `asyncio.Semaphore`. The loop has a thread of its own, because the submitter's thread
    keeps the plan; a task handed over from there is seen by the loop at its next turn.
    """

    family = "asyncio"
    summary = "asyncio event loop, coroutines bounded by a semaphore"
    variants = (
        Variant(
            "event-loop",
            frozenset(
                {
                    Capability.SUBMIT,
                    Capability.BATCH,
                    Capability.RESULT,
                    Capability.COROUTINES,
                    Capability.PARALLEL,
                }
            ),
            "run_coroutine_threadsafe for one task, gather for a batch (docs of asyncio, "
            "Coroutines and Tasks).",
        ),
    )

    def start(self) -> None:
        """Start the loop in its thread and wait until it runs."""
        self._places = asyncio.Semaphore(self.workers)
        self._stopping = asyncio.Event()
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._is_running.wait()

    def submit(self, task: Task) -> Future[Any]:
        """Hand one coroutine to the loop and return its future."""
        return asyncio.run_coroutine_threadsafe(self._bounded(task), self._loop)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Hand over the batch in one call and return once the loop has a task for each."""
        asyncio.run_coroutine_threadsafe(self._gather(tasks), self._loop).result()

    def result(self, handle: Future[Any], timeout_s: float) -> Any:
        """Wait for the future."""
        return handle.result(timeout_s)

    def stop(self) -> None:
        """End the loop, which cancels what still runs in it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the bound, and which loop this platform's policy chose."""
        return {
            "workers": self.workers,
            "loop": type(self._loop).__name__,
            "debug": self._loop.get_debug(),
        }

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_running.set()
        await self._stopping.wait()

    async def _gather(self, tasks: Sequence[Task]) -> None:
        # Not awaited: the batch belongs to the loop from here on. Kept, because a loop holds only
        # weak references to its tasks.
        self._batch = asyncio.gather(*map(self._bounded, tasks), return_exceptions=True)

    async def _bounded(self, task: Task) -> Any:
        async with self._places:
            return await kernel.execute_async(task.id, task.function, task.argument)
