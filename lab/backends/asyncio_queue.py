"""Runs tasks in coroutines over one `asyncio.Queue`: the reference for backends on one loop."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

from lab.backends._loop_thread import LoopThread
from lab.core.backend import Backend
from lab.core.model import Capability, Serializer, Task, Variant
from lab.worker import execution


class AsyncioQueue(Backend):
    """Runs `workers` coroutines that get tasks from a queue and await them (METHOD M18, B1).

    The queue belongs to the loop, so that each submitted task wakes the loop, and a batch once.
    """

    family = "reference"
    summary = "coroutines over one asyncio.Queue: the reference for one event loop"
    variants = (
        Variant(
            "queue",
            frozenset(
                {
                    Capability.SUBMIT,
                    Capability.BATCH,
                    Capability.PARALLEL,
                    Capability.COROUTINES,
                }
            ),
            "asyncio.Queue (docs of asyncio, Queues), filled by call_soon_threadsafe.",
            serializer=Serializer.MEMORY,
        ),
    )

    def start(self) -> None:
        """Start the loop in its thread, with the queue and the workers."""
        self._thread = LoopThread()
        self._loop = self._thread.loop
        self._thread.call(self._set_up())

    def submit(self, task: Task) -> None:
        """Put the task into the queue in the loop's next iteration."""
        self._loop.call_soon_threadsafe(self._tasks.put_nowait, task)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Put all tasks into the queue in one iteration of the loop."""
        self._loop.call_soon_threadsafe(self._put_all, tasks)

    def stop(self) -> None:
        """Stop the loop, which cancels its running coroutines."""
        self._thread.stop()

    async def _set_up(self) -> None:
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        # Assigned, because a loop holds only weak references to its tasks.
        self._workers = [asyncio.create_task(self._work()) for _ in range(self.workers)]

    async def _work(self) -> None:
        while True:
            task = await self._tasks.get()
            try:
                await execution.execute_async(task.id, task.function, task.argument)
            except Exception:  # noqa: BLE001 (an exception of a task must not end its worker)
                traceback.print_exc()

    def _put_all(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._tasks.put_nowait(task)
