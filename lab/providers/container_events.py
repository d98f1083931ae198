"""Follows the deaths of a trial's containers, in the engine's stream of events."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

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
    """One stream for a whole trial: repeated queries of the engine would use a whole core."""

    def __init__(self, label: str) -> None:
        self._deaths = queue.SimpleQueue[Death | str]()
        self._is_closed = False
        with engine() as client:
            # Helpers of faults have the label of the run, but no service: their end is no failure.
            filters = {"label": [label, SERVICE], "event": ["die", "oom"]}
            self._stream = client.api.events(since=int(time.time()), filters=filters, decode=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        reason = NO_ENGINE
        try:
            with engine():
                for event in self._stream:
                    attributes = event["Actor"]["Attributes"]
                    name, code = attributes[SERVICE], attributes.get("exitCode", "")
                    self._deaths.put(Death(event["Action"], name, code))
        except ClusterError as error:
            reason = str(error)
        if not self._is_closed:
            self._deaths.put(reason)

    def deaths(self) -> Iterator[Death]:
        """Yield the deaths since the last call.

        Raises:
            ClusterError: The engine has ended the stream.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._deaths.get_nowait()
                if isinstance(item, str):
                    raise ClusterError(item)
                yield item

    def stop(self) -> None:
        """End the stream."""
        from docker.errors import DockerException

        # First, so that the reader does not report this end as one of the engine.
        self._is_closed = True
        with contextlib.suppress(DockerException, OSError):  # over ssh, or the engine has ended it
            self._stream.close()
            self._reader.join()
