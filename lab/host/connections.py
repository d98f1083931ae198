"""Proves that the processes of a trial are connected to each other and to no server of others.

The proof comes when every worker has run a task and before a function of the user's may connect to
anything. Then a worker that is connected to a server of its trial, and to nothing beyond, has its
tasks from there, and so has whoever sent them. Unix sockets do not tell their other end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import psutil

from lab.core.errors import ClusterError

LOOK_S = 0.05
# A connection that is being made or closed may be seen from one side alone.
FOREIGN_S = 2.0
# Workers that need no task to prove themselves may still be starting.
MISSING_S = 60.0
OPEN = {psutil.CONN_ESTABLISHED, psutil.CONN_SYN_SENT}


class Parts(NamedTuple):
    """The processes of a trial, by number: its servers, its workers by name, and all by name."""

    servers: Collection[int]
    workers: Mapping[str, Collection[int]]
    everyone: Mapping[str, Collection[int]]


class Connection(NamedTuple):
    """One TCP connection or listening socket: who has it, from where, to where, and its state."""

    pid: int
    here: tuple[str, int]
    there: tuple[str, int]
    state: str


def prove(look: Callable[[], tuple[Parts, list[Connection]]]) -> None:
    """Look at the parts of a trial and their TCP connections until all is proven.

    Raises:
        ClusterError: A process is connected elsewhere, or a worker is connected to no server.
    """
    begin = time.monotonic()
    while True:
        now, found = look()
        waited = time.monotonic() - begin
        stranger, missing = foreign(now, found), unconnected(now, found)
        if not stranger and not missing:
            return
        if stranger and waited > FOREIGN_S:
            raise ClusterError(stranger)
        if missing and waited > MISSING_S:
            raise ClusterError(missing)
        time.sleep(LOOK_S)


def connections() -> list[Connection]:
    """List the TCP connections of this user's processes."""
    return [
        Connection(one.pid, _address(one.laddr), _address(one.raddr), one.status)
        for one in psutil.net_connections(kind="tcp")
        if one.pid is not None
    ]


def _address(end: Any) -> tuple[str, int]:
    return (end.ip, end.port) if end else ("", 0)


def foreign(parts: Parts, found: Collection[Connection]) -> str:
    """Name a process that is connected to none of `parts`, and where to; empty: there is none."""
    names = {pid: name for name, pids in parts.everyone.items() for pid in pids}
    ours = {one.here for one in found if one.pid in names}
    for one in found:
        if one.pid in names and one.state in OPEN and one.there not in ours:
            host, port = one.there
            return (
                f"{names[one.pid]} is connected to {host}:{port}, which is no part of this trial: "
                "leave out the --pass-env, or mend the setting, that leads there."
            )
    return ""


def unconnected(parts: Parts, found: Collection[Connection]) -> str:
    """Name a worker that is connected to none of the servers; empty: there is none."""
    served = {one.here for one in found if one.pid in parts.servers}
    at_work = {one.pid for one in found if one.there in served}
    for name, pids in parts.workers.items():
        if parts.servers and not at_work & {*pids}:
            return f"{name} is connected to no server of this trial; its log says what it did."
    return ""
