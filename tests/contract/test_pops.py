"""Tests what becomes of a message that a worker has popped from Redis when a process is killed.

Kombu pops a message with BRPOP and notes it afterwards with HSET. Between the two calls it is only
in the memory of the worker. RQ moves a job to another list in one command.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import rq
from kombu.connection import Connection

from lab.core.faults import Persistence
from lab.host import processes
from lab.providers.servers import RedisService

LABELS = {processes.OWNER: processes.owner(), processes.TRIAL: "pops-0"}
# The worker kills a process, of which it gets the id, just before or just after it notes a message.
CONSUMER = """
import os, signal, sys, time
from kombu import Connection
from kombu.transport.redis import QoS

endpoint, when, victim = sys.argv[1:]
note = QoS.append

def append(self, message, delivery_tag):
    if when == "after":
        note(self, message, delivery_tag)
    os.kill(int(victim) or os.getpid(), signal.SIGKILL)
    time.sleep(0.2)  # until the server has ended
    note(self, message, delivery_tag)

QoS.append = append
with Connection(endpoint) as connection:
    connection.SimpleQueue("tasks").get(timeout=10)
"""


class Server:
    """A Redis server that writes every command to its disk before it replies."""

    def __init__(self, folder: Path) -> None:
        self._service, self._folder = RedisService(Persistence.AOF_ALWAYS), folder
        self.start()

    def start(self) -> None:
        """Start it, or start it again with its data and its address."""
        running = self._service.start(self._folder, (), LABELS, "secret")
        self.process, self.endpoint = running.process, running.endpoint


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is stopped after the test."""
    server = Server(tmp_path)
    yield server
    processes.stop(server.process)


@pytest.mark.parametrize("is_worker", [True, False], ids=["worker", "server"])
@pytest.mark.parametrize(("when", "remaining"), [("before", 0), ("after", 1)])
def test_kombu_loses_a_message_between_the_pop_and_the_note(
    server: Server, when: str, remaining: int, *, is_worker: bool
) -> None:
    """Although the server writes each command to its disk, and restarts with its data."""
    with Connection(server.endpoint) as connection:  # type: ignore[no-untyped-call]
        connection.SimpleQueue("tasks").put("a task")
    victim = 0 if is_worker else server.process.pid
    argv = [sys.executable, "-c", CONSUMER, server.endpoint, when, str(victim)]
    subprocess.run(argv, check=False, capture_output=True, timeout=30)
    if not is_worker:
        server.process.wait()
        server.start()
    with redis.Redis.from_url(server.endpoint) as client:
        assert client.llen("tasks") == 0
        assert client.hlen("unacked") == remaining


def test_rq_moves_a_job_in_one_command(server: Server) -> None:
    """A worker that is killed after it has popped a job leaves it in another list."""
    with redis.Redis.from_url(server.endpoint) as client:
        queue = rq.Queue("tasks", connection=client)
        job = queue.enqueue("os.getpid")
        assert rq.Queue.dequeue_any([queue], None, client) is not None
        assert client.llen(queue.key) == 0
        assert queue.intermediate_queue.get_job_ids() == [job.id]
