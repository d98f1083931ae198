"""Keeps a connection to the agent of a node, and counts the finished tasks of all nodes by them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from lab.core.errors import ClusterError
from lab.core.provider import AgentAddress
from lab.recording.agent_connection import AgentConnection
from lab.recording.ledger_reader import Completions

Answer = TypeVar("Answer")

# A count asks no agent again within this time, however often it is read.
ASK_NS = 20_000_000
# Counts that were taken over a longer time are not those of one instant (METHOD M13).
INSTANT_NS = 5_000_000
# After a failure that took some time, a link fails at once for this many times as long: a host that
# has left would take seconds of each request, while the others wait to be asked.
REST = 2


class NodeLink:
    """A connection to one agent, for several threads, that connects again after an error."""

    def __init__(self, address: AgentAddress, token: str) -> None:
        self.address, self._token = address, token
        self._connection: AgentConnection | None = None
        self._is_closed = False
        self._error, self._rests_until_ns = "", 0
        self._lock = threading.Lock()

    def ask(self, request: Callable[[AgentConnection], Answer]) -> Answer:
        """Return the result of a request.

        Raises:
            ClusterError: The agent does not answer; a later request connects again.
        """
        with self._lock:
            if self._is_closed:
                raise ClusterError("The connection was closed.")
            begin_ns = time.monotonic_ns()
            if begin_ns < self._rests_until_ns:
                raise ClusterError(self._error)
            try:
                if self._connection is None:
                    self._connection = AgentConnection(self.address, self._token)
                return request(self._connection)
            except ClusterError as error:
                self._disconnect()
                end_ns = time.monotonic_ns()
                self._error, self._rests_until_ns = str(error), end_ns + REST * (end_ns - begin_ns)
                raise

    def close(self) -> None:
        """End the connection for ever."""
        with self._lock:
            self._is_closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class AgentCounter(Completions):
    """Counts finished executions of some tasks on all nodes, by asking their agents.

    A node whose agent does not answer keeps its last count, until its agent answers again.
    """

    def __init__(self, links: Sequence[NodeLink], tasks: range) -> None:
        self._links, self._tasks = links, tasks
        self._finished = dict.fromkeys(links, 0)
        self._last_ns = -ASK_NS

    def count(self) -> int:
        """Return how many executions have finished so far."""
        begin_ns = time.monotonic_ns()
        if begin_ns - self._last_ns >= ASK_NS:
            self._last_ns = begin_ns
            have_answered = [self._ask(link) for link in self._links]
            self.is_current = all(have_answered) and time.monotonic_ns() - begin_ns < INSTANT_NS
        return sum(self._finished.values())

    def running(self) -> int:
        """Return how many executions had started and not finished.

        On a node whose agent does not answer, at least one may still run.
        """
        n_running = 0
        for link in self._links:
            try:
                n_running += link.ask(lambda connection: connection.running(self._tasks))
            except ClusterError:
                n_running += 1
        return n_running

    def _ask(self, link: NodeLink) -> bool:
        try:
            self._finished[link] = link.ask(lambda connection: connection.finished(self._tasks))
        except ClusterError:
            return False
        return True
