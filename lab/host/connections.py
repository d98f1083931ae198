"""Checks that the processes of a trial are connected only to each other.

The check runs after every worker has run a task, and before a function of the user may open a
connection. A worker that is connected to a server of its trial, and to nothing else, received its
tasks from that server. Unix sockets are not checked: the kernel does not show their other end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import psutil

from lab.core.errors import ClusterError

LOOK_S = 0.05
# While a connection is opened or closed, only one of its ends may be listed.
FOREIGN_S = 2.0
# Workers may still be starting if the backend needs no task to be ready.
MISSING_S = 60.0
# SYN_SENT, because a connection to an address that drops packets is never established.
OPEN = {psutil.CONN_ESTABLISHED, psutil.CONN_SYN_SENT}


class Parts(NamedTuple):
    """The process ids of a trial: of its servers, of its workers by name, of all parts by name."""

    servers: Collection[int]
    workers: Mapping[str, Collection[int]]
    everyone: Mapping[str, Collection[int]]


class Connection(NamedTuple):
    """One TCP connection or listening socket: its process, both addresses, and its state."""

    pid: int
    here: tuple[str, int]
    there: tuple[str, int]
    state: str


def prove(look: Callable[[], tuple[Parts, list[Connection]]]) -> None:
    """Read the parts of a trial and their TCP connections until all are as expected.

    Raises:
        ClusterError: A process was connected elsewhere in two looks, `FOREIGN_S` apart, or after
            `MISSING_S` the connections are still not as expected.
    """
    begin = since = time.monotonic()
    before = ""
    while True:
        parts, open_connections = look()
        now = time.monotonic()
        elsewhere = foreign(parts, open_connections)
        missing = unconnected(parts, open_connections)
        if not elsewhere and not missing:
            return
        # One look may take longer than `FOREIGN_S` on a busy machine, so it proves nothing alone.
        if elsewhere != before:
            before, since = elsewhere, now
        elif elsewhere and now - since > FOREIGN_S:
            raise ClusterError(elsewhere)
        if now - begin > MISSING_S:
            raise ClusterError(elsewhere or missing)
        time.sleep(LOOK_S)


def connections(pids: Iterable[int]) -> list[Connection]:
    """List the TCP connections of these processes; one that has ended has none."""
    listed = []
    for pid in pids:
        with contextlib.suppress(psutil.Error, OSError):
            listed += [
                Connection(pid, _address(entry.laddr), _address(entry.raddr), entry.status)
                for entry in psutil.Process(pid).net_connections(kind="tcp")
            ]
    return listed


def _address(end: Any) -> tuple[str, int]:
    return (end.ip, end.port) if end else ("", 0)


def foreign(parts: Parts, connections: Collection[Connection]) -> str:
    """Return a message if a process is connected to an address outside `parts`, otherwise ""."""
    names = {pid: name for name, pids in parts.everyone.items() for pid in pids}
    inside = {connection.here for connection in connections if connection.pid in names}
    for pid, _, there, state in connections:
        if pid in names and state in OPEN and there not in inside:
            host, port = there
            return (
                f"{names[pid]} is connected to {host}:{port}, which is no part of this trial. "
                "Remove the --pass-env or change the setting that contains this address."
            )
    return ""


def unconnected(parts: Parts, connections: Collection[Connection]) -> str:
    """Return a message if a worker is connected to none of the servers, otherwise ""."""
    served = {connection.here for connection in connections if connection.pid in parts.servers}
    connected = {connection.pid for connection in connections if connection.there in served}
    for name, pids in parts.workers.items():
        # One process of a worker is enough: children of a pool may get their tasks through a pipe.
        if parts.servers and not connected & {*pids}:
            return f"{name} is connected to no server of this trial. See its log."
    return ""
