"""Starts the agent of a node in this process, or in one of its own that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.core.provider import AgentAddress
from lab.recording import node_agent
from lab.recording.agent_connection import AgentConnection
from lab.recording.node_agent import NodeAgent
from lab.worker import ledger

TOKEN = "0123456789abcdef"  # noqa: S105 (of a test)
LOOPBACK = "127.0.0.1"


def address_of(port: int) -> AgentAddress:
    """Return the address of an agent on loopback."""
    return AgentAddress(1, LOOPBACK, port)


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Run an agent in a thread, and return its port."""
    with NodeAgent(folder, TOKEN, (LOOPBACK, 0)) as agent:
        thread = threading.Thread(target=agent.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(agent.server_address[1])
        finally:
            agent.shutdown()
            thread.join()


@contextmanager
def connected(folder: Path) -> Iterator[AgentConnection]:
    """Run an agent in a thread, and return a connection to it."""
    with served(folder) as port, AgentConnection(address_of(port), TOKEN) as connection:
        yield connection


class AgentProcess:
    """An agent in a process, as it runs on a node; `prefix` is a command that starts it."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        agent = [sys.executable, "-m", node_agent.__name__, str(folder), LOOPBACK, "0"]
        self._argv = [*prefix, *agent]
        self.start()

    def start(self) -> int:
        """Start the process, and return its port."""
        environment = {**os.environ, node_agent.TOKEN: TOKEN}
        self.process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        return self.port

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


def write_ledger(folder: Path, name: str, tasks: range, rows: int = 8) -> Path:
    """Write a ledger file of tasks that have finished."""
    path = folder / f"{name}.bin"
    words = ledger.create(str(path), 1, 0, rows)
    for i, task_id in enumerate(tasks):
        row = ledger.WORDS * (i + 1)
        words[row], words[row + 2] = task_id, 1_000 + i
        ledger.finish(words, row, 2_000 + i, task_id)
    return path
