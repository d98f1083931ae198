"""Reads the lines of a driver, and answers at its gates."""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Iterator
from typing import IO

from lab.core.errors import ClusterError
from lab.core.provider import DriverProcess

SILENT_S = 0.25


def lines(driver: DriverProcess) -> Iterator[str]:
    """Yield each line of the driver, and an empty one whenever it has been silent."""
    descriptor = _open(driver.stdout).fileno()
    os.set_blocking(descriptor, False)
    buffered = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(SILENT_S):
                # A pool's child may hold the pipe open after the driver's end.
                if driver.poll() is not None:
                    return
                yield ""
                continue
            if not (chunk := os.read(descriptor, 4_096)):
                return
            *lines, buffered = (buffered + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines if line)


def go(driver: DriverProcess) -> None:
    """Let a driver that waits at a gate go on."""
    with contextlib.suppress(ConnectionError):  # it has ended, which `lines` reports
        _open(driver.stdin).write(b"go\n")


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ClusterError("The provider started the driver without pipes.")
    return pipe
