"""Connects to the agent of another machine: reads its clock, its count and its records."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from time import monotonic_ns
from types import TracebackType
from typing import NamedTuple, Self

from lab.core.errors import ClusterError
from lab.core.printable import one_line
from lab.core.provider import AgentAddress
from lab.recording.node_agent import MOST_ZEROS, PART_BYTES, RECORD_NAME
from lab.recording.node_clock import Exchange

# The longest time without a byte of an answer.
SILENCE_S = 5.0
# An answer has one line for each file of a node: 100,000 of them, of a backend that forks for
# each task, are 12 MB.
LONGEST_ANSWER = 64 << 20
# Enough that one of them meets no queue, at a tenth of a millisecond each.
N_EXCHANGES = 16
# A slow network is measured by the bytes that arrive in this time.
TRANSFER_NS = 1_000_000_000


class RecordFile(NamedTuple):
    """A file of a node's ledger, as the agent lists it."""

    name: str
    size: int
    sha256: str


class RecordList(NamedTuple):
    """The files of a node's ledger, and the free bytes of the disk that they are on."""

    free: int
    files: tuple[RecordFile, ...]


class AgentConnection:
    """A connection to the agent of one node; every method raises `ClusterError` if it is cut."""

    def __init__(self, address: AgentAddress, token: str) -> None:
        """Connect.

        Raises:
            ClusterError: No agent answers there; the message has the reason.
        """
        with _as_cluster_errors():
            self._socket = socket.create_connection((address.host, address.port), SILENCE_S)
            self._answers = self._socket.makefile("rb")
            try:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.sendall(f"{token}\n".encode())
            except OSError:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._answers.close()
        self._socket.close()

    def exchange(self) -> Exchange:
        """Send one message for the clock, and return the four instants."""
        with _as_cluster_errors():
            sent_ns = monotonic_ns()
            self._socket.sendall(b"clock\n")
            line = self._answers.readline(LONGEST_ANSWER)
            returned_ns = monotonic_ns()
            received_ns, answered_ns = map(int, _complete(line).split())
        return Exchange(sent_ns, received_ns, answered_ns, returned_ns)

    def exchanges(self) -> list[Exchange]:
        """Send the messages for one reading of the node's clock."""
        return [self.exchange() for _ in range(N_EXCHANGES)]

    def finished(self, tasks: range) -> int:
        """Return how many executions of `tasks` have finished on the node."""
        return self._count("finished", tasks)

    def running(self, tasks: range) -> int:
        """Return how many executions of `tasks` have started on the node and not finished."""
        return self._count("running", tasks)

    def bandwidth(self) -> float:
        """Return how many bytes arrive in a second; the connection has no further use then."""
        with _as_cluster_errors():
            n_left = n_bytes = int(self._ask(f"zeros {MOST_ZEROS}"))
            begin_ns = monotonic_ns()
            while n_left and monotonic_ns() - begin_ns < TRANSFER_NS:
                part = self._answers.read1(min(n_left, PART_BYTES))
                if not part:
                    raise ClusterError("The connection ended within a transfer.")
                n_left -= len(part)
            return (n_bytes - n_left) * 1e9 / (monotonic_ns() - begin_ns)

    def records(self) -> RecordList:
        """List the files of the node's ledger."""
        with _as_cluster_errors():
            listed = json.loads(self._ask("files"))
            records = tuple(RecordFile(str(n), int(s), str(h)) for n, s, h in listed["files"])
            for record in records:
                # The name becomes a path here, and a task may run with the rights of the agent.
                if not RECORD_NAME.fullmatch(record.name):
                    raise ClusterError(f"{one_line(record.name)!r} is no name of a record.")
            return RecordList(int(listed["free"]), records)

    def read(self, name: str, offset: int) -> Iterator[bytes]:
        """Yield the content of a file from `offset` on, in parts."""
        with _as_cluster_errors():
            n_left = int(self._ask(f"read {offset} {name}"))
            while n_left:
                part = self._answers.read1(min(n_left, PART_BYTES))
                if not part:
                    raise ClusterError(f"The connection ended within {name}.")
                n_left -= len(part)
                yield part

    def _count(self, request: str, tasks: range) -> int:
        with _as_cluster_errors():
            return int(self._ask(f"{request} {tasks.start} {tasks.stop}"))

    def _ask(self, request: str) -> str:
        self._socket.sendall(f"{request}\n".encode())
        answer = _complete(self._answers.readline(LONGEST_ANSWER))
        if answer.startswith("error"):
            raise ClusterError(one_line(f"The agent of the node answered {answer}"))
        return answer


def _complete(line: bytes) -> str:
    if not line.endswith(b"\n"):
        raise ClusterError("The connection ended before the answer.")
    return line.decode()


@contextlib.contextmanager
def _as_cluster_errors() -> Iterator[None]:
    """Turn a cut connection or a malformed answer into the error of a cluster."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(one_line(f"{type(error).__name__}: {error}")) from error
