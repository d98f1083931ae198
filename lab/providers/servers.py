"""Starts the servers that backends need as plain processes on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Protocol

from lab.core.errors import ClusterError
from lab.core.faults import Persistence
from lab.core.model import Service
from lab.host import processes, programs
from lab.providers.redis_program import redis_server

READY_S = 30.0
PORT_TRIES = 3
END_BYTES = 65_536


def free_port() -> int:
    """Return a loopback port on which no process listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers: its process, its endpoint, and its name and version."""

    process: subprocess.Popen[bytes]
    endpoint: str
    about: str


# The configuration of each persistence, for this and other providers; the append-only modes write
# no snapshots, and `rdb` has the server's default save points (Redis docs, Persistence).
PERSISTENCE: Mapping[str, str] = {
    Persistence.NONE: 'save ""\nappendonly no\n',
    Persistence.RDB: "appendonly no\n",
    Persistence.AOF_EVERYSEC: 'save ""\nappendonly yes\nappendfsync everysec\n',
    Persistence.AOF_ALWAYS: 'save ""\nappendonly yes\nappendfsync always\n',
}


class RedisService:
    """A new Redis server, or Valkey, with a password; a second `start` restarts it with its data.

    A restart keeps the port. Without `persistence`, nothing is written, as for a queue that is
    tuned for speed. The server writes into the folder `data`, by default that of its log.
    """

    name: ClassVar[Service] = Service.REDIS
    # Redis would write its title over the environment with the lab's labels.
    options: ClassVar[Sequence[str]] = ("--set-proc-title", "no")

    def __init__(self, persistence: str = "", data: Path | None = None) -> None:
        self._persistence, self._data = persistence or Persistence.NONE, data
        self._port = 0

    def access(self, password: str) -> bytes:
        """Return the configuration lines for access control."""
        # Not a Unix socket: it raised rates by 16 to 25 % (medians of four variants), and users of
        # these systems deploy TCP.
        return f"requirepass {password}\n".encode()

    def start(
        self,
        folder: Path,
        cpus: Sequence[int],
        labels: Mapping[str, str],
        password: str,
        port_of: Callable[[], int] = free_port,
    ) -> RunningServer:
        """Start the server with its log in `folder`, and wait until it answers.

        It reads the password from standard input, because any user can read a process's arguments.

        Raises:
            ClusterError: It ended, or did not answer in `READY_S`; the message has the last line
                of its log.
        """
        program = redis_server()
        log, data = folder / "redis.log", self._data or folder
        data.mkdir(exist_ok=True)
        configuration = self.access(password) + PERSISTENCE[self._persistence].encode()
        for _ in range(PORT_TRIES):
            port = self._port or port_of()
            listen = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)]
            argv = [program.path, "-", *listen, *self.options]
            process = processes.start_reading(configuration, argv, cpus, labels, log)
            if _answers(process, port, password):
                self._port = port
                about = f"{program.name} {program.version} ({program.origin}; {self._about()})"
                return RunningServer(process, f"redis://:{password}@127.0.0.1:{port}/0", about)
            processes.stop(process)
            # Another process may have taken the port before the server did: try another port.
            if self._port or "already in use" not in log.read_text(errors="replace"):
                break
        raise ClusterError(f"{Path(program.path).name} did not start: {last_line(log)}")

    def _about(self) -> str:
        is_off = self._persistence == Persistence.NONE
        return "no persistence" if is_off else f"persistence {self._persistence}"


# In the environment of the trial, whose packages are not those of the lab.
VERSION = "from importlib.metadata import version; print(version('distributed'))"


class DaskScheduler:
    """Dask's scheduler, which writes its address to a file when it listens.

    It takes a free port; a second `start` is a restart with the same port.
    """

    name: ClassVar[Service] = Service.DASK_SCHEDULER

    def __init__(self, python: str = sys.executable) -> None:
        self._python, self._port = python, 0

    def start(
        self,
        folder: Path,
        cpus: Sequence[int],
        labels: Mapping[str, str],
        password: str,  # noqa: ARG002 (Dask has no passwords; `lab.backends._dask` checks each peer)
    ) -> RunningServer:
        """Start the scheduler and wait for its address.

        Raises:
            ClusterError: It ended, or did not listen in `READY_S`; the message has the last line
                of its log.
        """
        file, log = folder / "dask-scheduler.json", folder / f"{self.name}.log"
        # After a restart, the address in an old file would count as that of the new scheduler.
        file.unlink(missing_ok=True)
        argv = [self._python, "-m", "dask", "scheduler", "--scheduler-file", str(file)]
        argv += ["--host", "127.0.0.1", "--port", str(self._port)]
        # Dask runs what any local user sends it: the preload checks the user of each peer.
        argv += ["--preload", "lab.backends._dask"]
        # Without the dashboard there are still pages, by default on every interface.
        argv += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        process = processes.start(argv, cpus, labels, log)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                address = json.loads(file.read_text())["address"]
            except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or half written
                time.sleep(0.01)
            else:
                self._port = int(address.rpartition(":")[2])
                return RunningServer(process, address, f"dask scheduler {self._version()}")
        processes.stop(process)
        raise ClusterError(f"dask scheduler did not start: {last_line(log)}")

    def _version(self) -> str:
        if self._python == sys.executable:
            return version("distributed")
        return programs.output_of([self._python, "-c", VERSION], READY_S).strip()


class Server(Protocol):
    """The interface of each server class."""

    def start(
        self, folder: Path, cpus: Sequence[int], labels: Mapping[str, str], password: str
    ) -> RunningServer:
        """Start the server in `folder`, on `cpus`, with `password`; wait until it answers.

        A second call starts it again at the same endpoint, with its data.
        """


SERVICES: Mapping[Service, type[Server]] = {
    RedisService.name: RedisService,
    DaskScheduler.name: DaskScheduler,
}


def _answers(process: subprocess.Popen[bytes], port: int, password: str) -> bool:
    request = f"AUTH default {password}\r\nPING\r\n".encode()
    answer = b"+OK\r\n+PONG\r\n"
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(request)
                with connection.makefile("rb") as reply:
                    # If another server took the port, it would answer, but ours would have ended.
                    if reply.read(len(answer)) == answer and process.poll() is None:
                        return True
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.01)
    return False


def last_line(log: Path) -> str:
    """Return the last line of a log that is not blank, for a message."""
    lines = _end_of(log).decode(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _end_of(log: Path) -> bytes:
    with log.open("rb") as file:
        # A log may be large, and a message needs only its last line.
        file.seek(max(0, log.stat().st_size - END_BYTES))
        return file.read()
