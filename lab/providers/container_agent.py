"""Runs a small program in a container that reads its ledger, and lists and signals processes.

A new program for each question would take a tenth of a second, in which a task ends.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.core.errors import ClusterError
from lab.providers.container_process import ContainerProcess
from lab.recording import inside_container
from lab.recording.ledger_reader import Writer


class ContainerAgent:
    """The program in one container; it ends with the container, or by `stop`."""

    def __init__(self, container: str, ledger: str, log: Path, address: str = "") -> None:
        argv = ["python", "-m", inside_container.__name__, ledger]
        self._process = ContainerProcess(container, argv, {}, log, address)
        # `readline` of the unbuffered pipe would read byte by byte. `stop` closes the descriptor.
        self._answers = io.BufferedReader(io.FileIO(self._process.stdout.fileno(), closefd=False))
        # The injector and the trial may ask at the same time.
        self._lock = threading.Lock()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Return the answer to a command of `lab.recording.inside_container`.

        Raises:
            ClusterError: The container has ended, or the command failed.
        """
        with self._lock:
            try:
                self._process.stdin.write(f"{json.dumps([command, *arguments])}\n".encode())
                line = self._answers.readline()
            except (OSError, ValueError):
                # The container has ended, or `stop` has closed the pipe meanwhile.
                line = b""
        if not line:
            raise ClusterError("The container has ended.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ClusterError(f"{command} in a container failed: {answer['error']}.")
        return answer["answer"]

    def stop(self) -> None:
        """End the program."""
        self._process.stop()


class ContainerLedger:
    """The writers of a ledger in a container's volume, in the place of a `CompletionCounter`.

    Process ids repeat after the restart of a container. So writers from before it are left out:
    `since_ns` has the instant of the last restart of a node.
    """

    def __init__(self, agent: ContainerAgent, tasks: range, since_ns: Mapping[int, int]) -> None:
        self._agent, self._tasks, self._since_ns = agent, tasks, since_ns
        self._writers: list[Writer] = []

    def count(self) -> int:
        """Read the ledger, and return the number of finished executions."""
        finished, listed = self._agent.ask("writers", self._tasks.start, self._tasks.stop)
        writers = [Writer(node, slot, pid, tuple(ids), at) for node, slot, pid, ids, at in listed]
        self._writers = [
            writer for writer in writers if writer.created_ns > self._since_ns.get(writer.node, 0)
        ]
        return int(finished)

    def writers(self) -> list[Writer]:
        """Return the writers at the last `count`."""
        return self._writers
