"""Runs tasks in an event loop in a thread of the driver: as coroutines, or as calls in threads."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lab.backends._futures import FutureBackend
from lab.backends._loop_thread import LoopThread
from lab.core.backend import DEFAULT
from lab.core.environment import has_gil
from lab.core.model import Capability, Job, Profile, Serializer, Task, Variant
from lab.worker import execution

CALLS = frozenset(
    {
        Capability.SUBMIT,
        Capability.BATCH,
        Capability.RESULT,
        Capability.PARALLEL,
        Capability.RESCHEDULE,
        Capability.GROUP,
        Capability.CHAIN,
    }
)
COROUTINES = CALLS | {Capability.COROUTINES}
LOOP, UVLOOP, TO_THREAD, ANYIO = "event-loop", "uvloop", "to_thread", "anyio"
FACTORY, EAGER = "task_factory", "eager"
TUNED = Profile(
    "tuned",
    {FACTORY: EAGER},
    "task_factory: asyncio.eager_task_factory can be faster, because a coroutine that completes "
    "without waiting is never scheduled (docs of asyncio, Coroutines and Tasks, Eager Task "
    "Factory; from Python 3.12).",
    # Not those in threads: their coroutine always waits for a thread, so none completes eagerly.
    variants=(LOOP, UVLOOP),
)


class Asyncio(FutureBackend):
    """Runs coroutines in one event loop, or functions in threads that the loop starts.

    One loop is one worker. Therefore `workers` is the limit of concurrent coroutines, enforced by
    an `asyncio.Semaphore`, with `to_thread` the number of threads of the loop's default executor,
    and with `anyio` the limit of its threads. The loop runs in a separate thread, because the
    driver's main thread paces the tasks; the loop receives a submitted task in its next iteration.

    A job is a coroutine that sleeps until absolute instants of the loop's clock, and starts each
    firing as a separate coroutine; cron expressions are not supported.
    """

    family = "asyncio"
    references = ("asyncio-queue", "deadline-loop")
    summary = "asyncio event loop, coroutines bounded by a semaphore"
    extra = "asyncio"
    reads_cron = False
    variants = (
        Variant(
            LOOP,
            COROUTINES,
            "run_coroutine_threadsafe for one task, gather for a batch (docs of asyncio, "
            "Coroutines and Tasks).",
            serializer=Serializer.MEMORY,
        ),
        Variant(
            UVLOOP,
            COROUTINES,
            "The same in the event loop of uvloop.run (README of uvloop, Using uvloop).",
            packages=("uvloop",),
            serializer=Serializer.MEMORY,
        ),
        Variant(
            TO_THREAD,
            CALLS,
            "asyncio.to_thread runs functions in the default executor (docs of asyncio, "
            "Coroutines and Tasks, Running in Threads).",
            serializer=Serializer.MEMORY,
            references=("queue[simple-queue]", "deadline-loop"),
        ),
        Variant(
            ANYIO,
            CALLS,
            "anyio.to_thread.run_sync runs functions in threads, bounded by the default limiter "
            "(docs of AnyIO, Working with threads).",
            packages=("anyio",),
            serializer=Serializer.MEMORY,
            references=("queue", "deadline-loop"),
        ),
    )

    profiles = (DEFAULT, TUNED) if sys.version_info >= (3, 12) else (DEFAULT,)

    def start(self) -> None:
        """Start the loop in its thread, and set it up."""
        run: Callable[..., None] = asyncio.run
        if self.setup.variant == UVLOOP:
            import uvloop

            run = uvloop.run
        self._to_thread: Callable[..., Coroutine[Any, Any, Any]] = asyncio.to_thread
        if self.setup.variant == ANYIO:
            from anyio.to_thread import run_sync

            self._to_thread = run_sync
        self._run_task = self._bounded if self.setup.variant in (LOOP, UVLOOP) else self._in_thread
        # It binds to a loop when it first waits, so this thread may create it.
        self._places = asyncio.Semaphore(self.workers)
        self._thread = LoopThread(run)
        self._loop = self._thread.loop
        self._thread.call(self._set_up())

    def submit(self, task: Task) -> Future[Any]:
        """Submit one coroutine to the loop and return its future."""
        return asyncio.run_coroutine_threadsafe(self._run_task(task), self._loop)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Submit the batch in one call; return when the loop has created its tasks."""
        asyncio.run_coroutine_threadsafe(self._gather(tasks), self._loop).result()

    def submit_group(self, tasks: Sequence[Task]) -> Future[Any]:
        """Gather the group in the loop and return a future for its end."""
        return asyncio.run_coroutine_threadsafe(self._together(tasks), self._loop)

    def submit_chain(self, tasks: Sequence[Task]) -> Future[Any]:
        """Await one task after the other in a coroutine and return a future for its end."""
        return asyncio.run_coroutine_threadsafe(self._one_by_one(tasks), self._loop)

    def schedule(self, job: Job) -> Future[None]:
        """Start the job's coroutine and return its future; it first fires after one period."""
        return asyncio.run_coroutine_threadsafe(self._again(job), self._loop)

    def unschedule(self, handle: Future[None]) -> None:
        """Cancel the job's coroutine; a firing that has started continues."""
        handle.cancel()

    def stop(self) -> None:
        """Stop the loop, which cancels its running coroutines."""
        self._thread.stop()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the limit, the class of the loop, and whether the interpreter has the GIL."""
        return {
            "workers": self.workers,
            "gil": has_gil(),
            "loop": f"{type(self._loop).__module__}.{type(self._loop).__qualname__}",
            "debug": self._loop.get_debug(),
            FACTORY: self.setup.settings.get(FACTORY),
        }

    async def _set_up(self) -> None:
        if sys.version_info >= (3, 12) and self.setup.settings.get(FACTORY) == EAGER:
            self._loop.set_task_factory(asyncio.eager_task_factory)
        # `asyncio.run` shuts this executor down.
        self._loop.set_default_executor(ThreadPoolExecutor(self.workers))
        if self.setup.variant == ANYIO:
            from anyio.to_thread import current_default_thread_limiter

            current_default_thread_limiter().total_tokens = self.workers

    async def _gather(self, tasks: Sequence[Task]) -> None:
        # Not awaited, so that the driver does not wait for the batch. Assigned, because a loop
        # holds only weak references to its tasks.
        self._batch = asyncio.gather(*map(self._run_task, tasks), return_exceptions=True)

    async def _together(self, tasks: Sequence[Task]) -> None:
        await asyncio.gather(*map(self._run_task, tasks))

    async def _one_by_one(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            await self._run_task(task)

    async def _again(self, job: Job) -> None:
        task, begin = Task(*job.arguments), self._loop.time()
        running: set[asyncio.Task[Any]] = set()
        for k in itertools.count(1):
            await asyncio.sleep(begin + k * job.every_s - self._loop.time())
            run = self._loop.create_task(self._run_task(task))
            # A loop holds only weak references to its tasks (docs of asyncio, create_task).
            running.add(run)
            run.add_done_callback(running.discard)

    async def _bounded(self, task: Task) -> Any:
        async with self._places:
            return await execution.execute_async(*task.arguments)

    def _in_thread(self, task: Task) -> Coroutine[Any, Any, Any]:
        # A wrapper coroutine around it would lower the rate by a tenth (measured with asyncio).
        return self._to_thread(execution.execute, *task.arguments)
