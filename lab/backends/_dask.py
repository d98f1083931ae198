"""Makes Dask's servers close connections from other users.

Usage: ``dask scheduler --preload lab.backends._dask``. It must be loaded before a server listens
(Dask docs, Customize Initialization, and Communications, Extending the Communication Layer).

Dask executes code that a peer sends, and its only authentication is TLS, which has a cost for each
message. On loopback the kernel lists the user of a peer, so it is looked up once for each
connection, before the first byte is read. A connection from an unknown peer is closed as well.
"""

from __future__ import annotations

import os
from typing import Any

import dask.config
from distributed.comm.core import Comm, CommClosedError
from distributed.comm.registry import backends
from distributed.comm.tcp import TCPBackend, TCPListener

from lab.host import procfs

# HTTP pages about the server, which all users could read; the lab does not need them.
PAGES = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")


class SameUserListener(TCPListener):
    """Accepts connections only from processes of its own user."""

    async def on_connection(self, comm: Comm, *arguments: Any, **options: Any) -> None:
        """Continue with the handshake, or close the connection before it.

        Raises:
            CommClosedError: The peer belongs to another user, or is unknown.
        """
        here, there = (_host_and_port(where) for where in (comm.local_address, comm.peer_address))
        if procfs.user_of_peer(there, here) != os.geteuid():
            # Immediately, whereas `close` is a coroutine that flushes the write buffer first.
            comm.abort()  # type: ignore[no-untyped-call]
            raise CommClosedError(f"{comm.peer_address} is a process of another user.")
        await super().on_connection(comm, *arguments, **options)


class SameUserTcp(TCPBackend):
    """Dask's TCP communication with this listener."""

    def get_listener(self, loc: str, handle_comm: Any, deserialize: bool, **options: Any) -> Any:  # noqa: FBT001 (Dask's interface)
        """Return a listener for an address."""
        return SameUserListener(loc, handle_comm, deserialize, **options)  # type: ignore[no-untyped-call]


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


backends["tcp"] = SameUserTcp()
dask.config.set({name: [] for name in PAGES})
