"""Reads the ledger, signals processes, and changes network and clock of this container.

``python -m lab.recording.inside_container`` runs in a container of a trial with a fault. It answers
each line of its standard input, a command in JSON, by one line. It waits for the next without any
use of the CPU.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from lab.host import faked_clock
from lab.recording import volatile_disk
from lab.recording.ledger_reader import CompletionCounter
from lab.recording.packet_delay import PacketDelay
from lab.worker import clock_file

ENDED_S, LOOK_S = 5.0, 0.001
N_CONNECTS, CONNECT_S = 9, 5.0
# Of a network interface, netdevice(7).
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
REQUEST = struct.Struct("16sh14x")


class Commands:
    """The answers to the commands; each method but the private ones is a command."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger
        self._counters: dict[tuple[int, int], CompletionCounter] = {}
        self._delay: PacketDelay | None = None
        self._disks: list[int] = []

    def writers(self, first: int, end: int) -> tuple[int, list[Sequence[Any]]]:
        """Return how many tasks from `first` to `end` have finished, and the writers."""
        # One counter for each range of tasks: it reads only what is new since its last count.
        if (first, end) not in self._counters:
            self._counters[first, end] = CompletionCounter(self._folder, range(first, end))
        counter = self._counters[first, end]
        return counter.count(), [[*writer] for writer in counter.writers()]

    def processes(self) -> list[tuple[int, int, list[str]]]:
        """Return id, parent and command line of each running process."""
        listed = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # A zombie has ended, and is listed until its parent reads its exit code.
                if process.status() != psutil.STATUS_ZOMBIE:
                    listed.append((process.pid, process.ppid(), process.cmdline()))
        return listed

    def signal(self, pids: list[int], number: int) -> list[int]:
        """Send a signal to those processes that still run, and return their ids."""
        reached = []
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                # It may have ended since it was listed: only a process that gets the signal is hit.
                psutil.Process(pid).send_signal(number)
                reached.append(pid)
        return reached

    def ended(self, pid: int) -> bool:
        """Wait until a process has ended, and return whether it has in `ENDED_S` seconds."""
        deadline = time.monotonic() + ENDED_S
        while time.monotonic() < deadline:
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            time.sleep(LOOK_S)
        return False

    def step_clock(self, path: str, step_s: float) -> int:
        """Step the wall clock of the container; return how many other processes follow it."""
        clock_file.set_step(Path(path), step_s)
        pids = {*psutil.pids()} - {os.getpid()}
        return sum(faked_clock.is_faked(pid) for pid in pids)

    def slow(self, ms: float) -> None:
        """Hold each TCP packet that arrives or leaves for `ms`, until `unslow`."""
        self.unslow()
        self._delay = PacketDelay(ms / 1e3)

    def unslow(self) -> None:
        """Let the packets pass at once."""
        if self._delay:
            self._delay.end()
        self._delay = None

    def round_trip_ms(self, host: str, port: int) -> float:
        """Return the median time of a TCP connect, ms."""
        address = socket.gethostbyname(host)
        took_ns = []
        for _ in range(N_CONNECTS):
            begin_ns = time.monotonic_ns()
            socket.create_connection((address, port), CONNECT_S).close()
            took_ns.append(time.monotonic_ns() - begin_ns)
        return statistics.median(took_ns) / 1e6

    def make_disk(self, image: str, n_bytes: int) -> str:
        """Make a disk that can forget, and return its device, which this program holds."""
        device, descriptor = volatile_disk.make(Path(image), n_bytes)
        self._disks.append(descriptor)
        return device

    def sync(self, folder: str) -> None:
        """Write all of the file system of a folder to its disk."""
        volatile_disk.sync(Path(folder))

    def forget(self, folder: str) -> str:
        """Forget all writes below a mounted folder that were not synced; return the proof."""
        return volatile_disk.forget(Path(folder))

    def link(self, is_up: int) -> dict[str, bool]:
        """Take all network interfaces but loopback up or down; return their state afterwards."""
        states = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for _, name in socket.if_nameindex():
                if name != "lo":
                    # The interface only goes down: a disconnect by the engine would give the
                    # container another address.
                    flags = _flags(control, name)
                    flags = flags | IFF_UP if is_up else flags & ~IFF_UP
                    fcntl.ioctl(control, SIOCSIFFLAGS, REQUEST.pack(name.encode(), flags))
                    states[name] = bool(_flags(control, name) & IFF_UP)
        return states


def _flags(control: socket.socket, name: str) -> int:
    packed = fcntl.ioctl(control, SIOCGIFFLAGS, REQUEST.pack(name.encode(), 0))
    return int(REQUEST.unpack(packed)[1])


def main(ledger: str) -> None:
    """Answer commands until the end of standard input."""
    inside = Commands(Path(ledger))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer: dict[str, object] = {"answer": COMMANDS[name](inside, *arguments)}
        except Exception as error:  # noqa: BLE001 (the lab outside turns it into a sentence)
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        # Standard output is a pipe here, and the lab waits for this line.
        sys.stdout.flush()


COMMANDS: Mapping[str, Callable[..., object]] = {
    name: command for name, command in vars(Commands).items() if not name.startswith("_")
}

if __name__ == "__main__":
    main(sys.argv[1])
