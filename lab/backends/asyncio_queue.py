"""Runs tasks in coroutines over one `asyncio.Queue`: the reference for backends on one loop."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Sequence

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
        """Start the loop in its thread, and wait until it runs."""
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        # `submit` needs the loop and the queue, which the thread creates.
        self._is_running.wait()

    def submit(self, task: Task) -> None:
        """Put the task into the queue in the loop's next iteration."""
        self._loop.call_soon_threadsafe(self._tasks.put_nowait, task)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Put all tasks into the queue in one iteration of the loop."""
        self._loop.call_soon_threadsafe(self._put_all, tasks)

    def stop(self) -> None:
        """Stop the loop, which cancels its running coroutines."""
        # A second `stop` must do nothing, but a closed loop raises RuntimeError for the call.
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        # Assigned, because a loop holds only weak references to its tasks.
        self._workers = [asyncio.create_task(self._work()) for _ in range(self.workers)]
        self._is_running.set()
        await self._stopping.wait()

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
