"""Defines the monitor of a backend, which shows the running cluster over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Monitor:
    """The backend's monitor: its documented command, and its expected HTTP answer.

    Attributes:
        argv: The command; the lab replaces ``{port}`` by a free port of the loopback interface.
        path: The path of the GET request.
        word: A text that the answer must contain. It should appear only if the monitor sees the
            running cluster, such as the name of a worker or of a queue.
        headers: The headers of the request.
    """

    argv: tuple[str, ...]
    path: str
    word: str
    headers: Mapping[str, str] = field(default_factory=dict)
