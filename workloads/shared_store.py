"""Counts in Redis, which several backends use as their queue: all its clients see the count."""

import json
import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from workloads.noop import answer, argument, calibrate, nominal_ns  # noqa: F401 (they are the same)

SUMMARY = "Adds 1 to a counter in Redis (`lab claims`)."
UNIT = ""
DEFAULT_SIZE = 0


def run(number: int) -> int:
    """Count, and return the number."""
    _add(json.loads(os.environ["LAB_SETUP"])["endpoints"], 1)
    return number


async def run_async(number: int) -> int:
    """Count, and return the number."""
    return run(number)


def seen(endpoints: Mapping[str, str]) -> int:
    """Return how many tasks have counted, as the submitter reads it."""
    return _add(endpoints, 0)


def _add(endpoints: Mapping[str, str], by: int) -> int:
    # In Redis' own words, because a task needs no package.
    server = urlsplit(endpoints["redis"])
    with socket.create_connection((server.hostname, server.port or 6379), timeout=10) as connection:
        connection.sendall(f"AUTH {server.password}\r\nINCRBY lab:shared {by}\r\n".encode())
        answers = connection.makefile("rb")
        answers.readline()
        return int(answers.readline().lstrip(b":"))
