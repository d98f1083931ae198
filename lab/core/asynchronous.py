"""Defines the contract of an adapter whose client is asynchronous: one event loop for its calls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from lab.core.backend import Backend

if TYPE_CHECKING:
    import asyncio

Answer = TypeVar("Answer")


class AsyncBackend(Backend):
    """A backend with an asynchronous client: `open` and `close` instead of `start` and `stop`.

    One loop of the driver runs every call of the client, in the thread of the call and only until
    it returns. A thread of its own would add two thread switches to each call, more than the lab
    may add to a task. What a client does in the background, such as heartbeats, waits for the next
    call.
    """

    @abstractmethod
    async def open(self) -> None:
        """Create the client, ready for `submit`."""

    @abstractmethod
    async def close(self) -> None:
        """Release everything that `open` created."""

    def call(self, client_call: Awaitable[Answer]) -> Answer:
        """Run one call of the client in the loop, and return its answer."""
        return self._loop.run_until_complete(client_call)

    def start(self) -> None:
        """Create the loop, and open the client in it."""
        import asyncio  # here, because workers of other systems import this module, too

        self._runner: asyncio.Runner | None = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self.call(self.open())

    def stop(self) -> None:
        """Close the client, then the loop, which cancels what still runs in it."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with runner:
                self.call(self.close())
