"""Follows the deaths of a trial's containers, in the streams of events of their engines."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lab.core.errors import ClusterError
from lab.providers.engine import engine
from lab.providers.engine_errors import NO_ENGINE

SERVICE = "com.docker.compose.service"


class Death(NamedTuple):
    """The end of a container or of a process in it: event ``die`` or ``oom``."""

    event: str
    name: str
    code: str


class ContainerEvents:
    """One stream of each engine for a whole trial: repeated queries would use a whole core.

    Args:
        label: The label of the containers, as ``NAME=VALUE``.
        engines: The addresses of the engines; empty: that of Docker's command.
    """

    def __init__(self, label: str, engines: Sequence[str] = ("",)) -> None:
        self._deaths = queue.SimpleQueue[Death | str]()
        self._is_closed = False
        self._streams = list[Any]()
        # Helpers of faults have the label of the run, but no service: their end is no failure.
        filters = {"label": [label, SERVICE], "event": ["die", "oom"]}
        for address in engines:
            with engine(address) as client:
                # By the engine's clock, which may be off from that of this machine.
                now = int(time.time()) if not address else None
                stream = client.api.events(since=now, filters=filters, decode=True)
            self._streams.append(stream)
        readers = zip(engines, self._streams, strict=True)
        self._readers = [threading.Thread(target=self._read, args=r, daemon=True) for r in readers]
        for reader in self._readers:
            reader.start()

    def _read(self, address: str, stream: Any) -> None:
        reason = NO_ENGINE
        try:
            with engine(address):
                for event in stream:
                    attributes = event["Actor"]["Attributes"]
                    name, code = attributes[SERVICE], attributes.get("exitCode", "")
                    self._deaths.put(Death(event["Action"], name, code))
        except ClusterError as error:
            reason = str(error)
        if not self._is_closed:
            of_host = f"{address}: {reason.partition(' Run: ')[0]}"
            self._deaths.put(of_host if address else reason)

    def deaths(self) -> Iterator[Death]:
        """Yield the deaths since the last call.

        Raises:
            ClusterError: An engine has ended its stream.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._deaths.get_nowait()
                if isinstance(item, str):
                    raise ClusterError(item)
                yield item

    def stop(self) -> None:
        """End the streams."""
        from docker.errors import DockerException

        # First, so that no reader reports this end as one of its engine.
        self._is_closed = True
        for stream, reader in zip(self._streams, self._readers, strict=True):
            with contextlib.suppress(DockerException, OSError):  # over ssh, or it has ended
                stream.close()
                reader.join()
