"""Counts in Redis, which several backends use as their queue; all clients can see the count."""

import json
import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (reused unchanged)

SUMMARY = "Adds 1 to a counter in Redis (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0


def run(number: int) -> int:
    """Increment the count, and return the number."""
    _add(json.loads(os.environ["LAB_SETUP"])["endpoints"], 1)
    return number


async def run_async(number: int) -> int:
    """Increment the count, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:
    """Return the count, as the driver reads it."""
    return _add(endpoints, 0)


def _add(endpoints: Mapping[str, str], by: int) -> int:
    # In the protocol of Redis, because workloads use only the standard library.
    server = urlsplit(endpoints["redis"])
    with socket.create_connection((server.hostname, server.port or 6379), timeout=10) as connection:
        connection.sendall(f"AUTH {server.password}\r\nINCRBY lab:shared {by}\r\n".encode())
        answers = connection.makefile("rb")
        answers.readline()
        return int(answers.readline().lstrip(b":"))
