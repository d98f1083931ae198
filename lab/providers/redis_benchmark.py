"""Runs redis-benchmark against a new server, on this machine or in a container."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.core.errors import ClusterError
from lab.core.model import Service
from lab.host import interrupts, processes, programs, temp_dirs
from lab.providers import images, reaper
from lab.providers.engine import engine
from lab.providers.servers import RedisService

TOOL = "redis-benchmark"
DEADLINE_S = 60.0
MISSING = f"{TOOL} is not installed. Run: sudo apt install redis-tools"
# Starts a server in the container of the benchmark.
IN_CONTAINER = (
    "redis-server --save '' --appendonly no --daemonize yes >/dev/null; "
    "until redis-cli ping >/dev/null 2>&1; do sleep 0.02; done; "
)


class RedisWithSocket(RedisService):
    """A server that listens on a Unix socket as well, for clients without a password."""

    options = (*RedisService.options, "--unixsocket", "socket")  # relative to its folder

    def access(self, password: str) -> bytes:  # noqa: ARG002 (this server has no password)
        """Allow clients without a password only to push to lists and to read settings.

        The tool takes a password only in its arguments, which all users of the machine can read.
        """
        return b"user default on nopass ~* -@all +@connection +lpush +config|get\n"


@contextmanager
def new_redis() -> Iterator[tuple[int, Path]]:
    """Start a server for one measurement; yield its port and its Unix socket."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: TOOL}
    with temp_dirs.folder() as folder, interrupts.deferred():
        try:
            with interrupts.allowed():
                server = RedisWithSocket().start(folder, (), labels, "none")
                port = server.endpoint.rpartition(":")[2].partition("/")[0]
                try:
                    yield int(port), folder / "socket"
                finally:
                    processes.stop(server.process)
        finally:
            processes.reap_trial(TOOL)  # also a server whose start was interrupted


def on_host(command: Sequence[str]) -> str:
    """Run the tool on this machine; return its output.

    Raises:
        LabError: The tool or a server is missing, or the tool failed or took too long.
    """
    if not shutil.which(TOOL):
        raise ClusterError(MISSING)
    with new_redis() as (port, _):
        return programs.output_of([*command, "-p", str(port)], DEADLINE_S)


def in_container(command: Sequence[str]) -> str:
    """Run the tool and its server in one container; return its output.

    Raises:
        ClusterError: The container failed.
    """
    labels = {reaper.RUN: TOOL, reaper.OWNER: processes.owner()}
    program = ["-c", IN_CONTAINER + " ".join(command)]
    image = images.resolve(Service.REDIS).name
    with engine() as client:
        output = client.containers.run(
            image, program, entrypoint="sh", network_mode="none", remove=True, labels=labels
        )
    return output.decode()
