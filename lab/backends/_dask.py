"""Closes connections of other users: ``dask scheduler --preload lab.backends._dask``.

Dask runs whatever a peer sends, and knows no authentication but TLS, which costs something for each
message. On loopback the kernel says which user's a peer is, so it is looked up once for each
connection, before a byte of it is read. A peer that is not found is refused as well.

To be loaded before a server listens (Dask docs, Customize Initialization, and Communications,
Extending the Communication Layer).
"""

from __future__ import annotations

import os
from typing import Any

import dask.config
from distributed.comm.core import Comm, CommClosedError
from distributed.comm.registry import backends
from distributed.comm.tcp import TCPBackend, TCPListener

from lab.host import procfs

# Pages about the server, for any user to read; the lab needs none of them.
PAGES = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")


class Listener(TCPListener):
    """Accepts connections from processes of this process's own user only."""

    async def on_connection(self, comm: Comm, *arguments: Any, **options: Any) -> None:
        """Go on with the handshake, or close the connection before it.

        Raises:
            CommClosedError: It came from another user.
        """
        here, there = (_host_and_port(where) for where in (comm.local_address, comm.peer_address))
        if procfs.user_of_peer(there, here) != os.geteuid():
            comm.abort()  # type: ignore[no-untyped-call]
            raise CommClosedError(f"{comm.peer_address} is a process of another user.")
        await super().on_connection(comm, *arguments, **options)


class Backend(TCPBackend):
    """Dask's TCP with this listener."""

    def get_listener(self, loc: str, handle_comm: Any, deserialize: bool, **options: Any) -> Any:  # noqa: FBT001 (Dask's interface)
        """Make a listener at an address."""
        return Listener(loc, handle_comm, deserialize, **options)  # type: ignore[no-untyped-call]


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


backends["tcp"] = Backend()
dask.config.set({name: [] for name in PAGES})
