"""Runs an event loop in a thread of the driver, for systems whose tasks run in that loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """A running event loop, which has a thread of its own: the main thread paces the tasks.

    loop: the loop, for `run_coroutine_threadsafe` and its like.
    """

    def __init__(self, run: Callable[..., None] = asyncio.run) -> None:
        """Start the loop, and wait until it runs; `run` is `asyncio.run` or that of uvloop."""
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=run, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._is_running.wait()

    async def _serve(self) -> None:
        self.loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._is_running.set()
        await self._stopping.wait()

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the loop and wait for its end; its exception is raised here."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def stop(self) -> None:
        """Stop the loop, which cancels its running coroutines; a second call does nothing."""
        # A closed loop raises RuntimeError for the call.
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
