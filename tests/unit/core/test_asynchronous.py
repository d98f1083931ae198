"""Tests the contract of adapters with an asynchronous client."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lab.core.asynchronous import AsyncBackend
from lab.core.model import Task, Topology
from lab.planning import registry


class Client(AsyncBackend):
    """Notes the calls, and the loop and the thread of each."""

    async def open(self) -> None:
        """Start what runs in the background."""
        self.seen: list[tuple[str, asyncio.AbstractEventLoop, threading.Thread]] = []
        self.beat = asyncio.create_task(asyncio.sleep(3_600.0))
        self.note("open")

    async def close(self) -> None:
        """Only note the call: the loop ends the background."""
        self.note("close")

    def submit(self, task: Task) -> int:
        """Return the id in the loop's next iteration."""
        return self.call(self.answer(task))

    async def answer(self, task: Task) -> int:
        """Note the call, and raise for the task without a function."""
        await asyncio.sleep(0)
        self.note("submit")
        if not task.function:
            raise ConnectionError("refused")
        return task.id

    def note(self, call: str) -> None:
        """Note a call."""
        self.seen.append((call, asyncio.get_running_loop(), threading.current_thread()))


@pytest.fixture
def client() -> Client:
    """Create an adapter as the driver does, and start it."""
    chosen = registry.select("thread-pool")
    client = Client(registry.setup(chosen, Topology(1, 1, 1), {}))
    client.start()
    return client


def test_all_calls_run_in_one_loop_of_the_calling_thread(client: Client) -> None:
    """A loop of another thread would cost two switches of threads a call."""
    assert [client.submit(Task(number, "f", 0)) for number in range(2)] == [0, 1]
    client.stop()
    assert [call for call, _, _ in client.seen] == ["open", "submit", "submit", "close"]
    assert len({loop for _, loop, _ in client.seen}) == 1
    assert {thread for _, _, thread in client.seen} == {threading.current_thread()}


def test_stop_ends_the_background_and_closes_the_loop_once(client: Client) -> None:
    """A second call does nothing."""
    client.stop()
    client.stop()
    assert client.beat.cancelled()
    assert [call for call, _, _ in client.seen] == ["open", "close"]
    assert client.seen[0][1].is_closed()


def test_an_exception_of_the_client_reaches_the_driver(client: Client) -> None:
    """The driver counts a refused task, and offers the next one in the same loop."""
    with pytest.raises(ConnectionError, match="refused"):
        client.submit(Task(1, "", 0))
    assert client.submit(Task(2, "f", 0)) == 2
    client.stop()


def test_another_thread_may_call_while_no_call_runs(client: Client) -> None:
    """Under a fault the driver offers tasks in a thread, because a call may block."""
    answers: list[int] = []
    offering = threading.Thread(target=lambda: answers.append(client.submit(Task(3, "f", 0))))
    offering.start()
    offering.join()
    client.stop()
    assert answers == [3]
