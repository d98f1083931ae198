"""Lists the sockets on which the processes of a trial listen, for tests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from lab.providers.network import address

# Parts of a command line that identify a program; a process without one counts as its parent.
NAMES = (
    *("redis-server", "dask scheduler", "dask worker", "flower", "runserver"),
    *("epmd", "beam.smp", "postgres"),
)
# It is in the place of the other, and listens like it.
REPLACING = {"valkey-server": "redis-server"}
LISTEN, CLOSE = "0A", "07"  # a UDP socket that is not connected has the state "close"
ACCEPTS = 0x10000  # __SO_ACCEPTCON of a Unix socket
EPHEMERAL = 32_768
# The kernel's table of sockets is read in parts. A part may lack sockets that have moved because
# other processes closed theirs.
READINGS = 5
PLAIN = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 (to compare with)


class Socket(NamedTuple):
    """A listening socket; `address` does not contain a port that the kernel has chosen."""

    process: str
    address: str
    port: int = 0


def of(pids: Iterable[int]) -> set[Socket]:
    """Return the sockets on which processes listen, also of processes in containers."""
    sockets = set()
    for pid in pids:
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            open_inodes = set(_inodes(pid))
            name = _name(psutil.Process(pid))
            for _ in range(READINGS):
                for inode, address, port in [*_internet(pid), *_unix(pid)]:
                    if inode in open_inodes:
                        sockets.add(Socket(name, address, port))
    return sockets


def _name(process: psutil.Process | None) -> str:
    while process is not None:
        words = " ".join(process.cmdline())
        for name in (*NAMES, *REPLACING):
            if name in words:
                return REPLACING.get(name, name)
        process = process.parent()
    return "python"


def _inodes(pid: int) -> Iterator[int]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):  # noqa: PTH115
                yield int(match[1])


def _internet(pid: int) -> Iterator[tuple[int, str, int]]:
    for kind, state in (("tcp", LISTEN), ("tcp6", LISTEN), ("udp", CLOSE), ("udp6", CLOSE)):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                host, port = address(fields[1])
                host = host if host in PLAIN else "its container's address"
                shown = host if port >= EPHEMERAL else f"{host}:{port}"
                yield int(fields[9]), f"{kind[:3].upper()} {shown}", port


def _unix(pid: int) -> Iterator[tuple[int, str, int]]:
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & ACCEPTS:
            path = fields[7] if len(fields) > 7 else ""
            yield int(fields[6]), f"Unix socket {_guarded_by(pid, path)}", 0


def _guarded_by(pid: int, path: str) -> str:
    """Return what protects a Unix socket from other users."""
    if not path.startswith("/"):
        return "without a file"
    if Path(f"/proc/{pid}/ns/mnt").stat().st_ino != Path("/proc/self/ns/mnt").stat().st_ino:
        return "in its container"
    return f"in a folder of mode {Path(path).parent.stat().st_mode & 0o7777:04o}"
