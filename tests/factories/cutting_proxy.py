"""Leads connections to another port, and cuts them after a number of bytes of the answers."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Self


class CuttingProxy:
    """A port of loopback that leads to `target`, for one connection after another.

    Attributes:
        target: The port that it leads to.
        n_bytes: How many bytes of answers it has passed on.
    """

    def __init__(
        self,
        target: int,
        cuts: Iterable[int],
        at_cut: Callable[[], object] = lambda: None,
        *,
        is_silent: bool = False,
    ) -> None:
        """Cut each connection after its number of bytes; those after the last are not cut.

        Args:
            target: The port that it leads to.
            cuts: The number of bytes for each connection.
            at_cut: Called before each cut.
            is_silent: Whether a cut connection stays open and is not read, as when a network is
                divided.
        """
        self.target, self.n_bytes = target, 0
        self._cuts, self._at_cut, self._is_silent = iter(cuts), at_cut, is_silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._silent = contextlib.ExitStack()
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._thread.join()
        self._listener.close()
        self._silent.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.ExitStack() as ends, contextlib.suppress(OSError):
                ends.enter_context(client)
                agent = socket.create_connection(("127.0.0.1", self.target))
                ends.enter_context(agent)
                for end in (client, agent):  # small answers do not wait for each other
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._lead(client, agent, next(self._cuts, 2**63)):
                    self._at_cut()
                    if self._is_silent:
                        self._silent.push(ends.pop_all())

    def _lead(self, client: socket.socket, agent: socket.socket, n_left: int) -> bool:
        """Pass bytes on, and return whether `n_left` of them have been, before an end closed."""
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, agent)
            ready.register(agent, selectors.EVENT_READ, client)
            while n_left:
                for key, _ in ready.select():
                    from_client = key.data is agent
                    data = (client if from_client else agent).recv(65_536)
                    if not data:
                        return False
                    if not from_client:
                        data = data[:n_left]
                        n_left -= len(data)
                        self.n_bytes += len(data)
                    key.data.sendall(data)
        return True
