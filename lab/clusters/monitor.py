"""Asks a system's own monitor over HTTP, until it sees the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from lab.backend import Monitor
from lab.errors import ClusterError

ANSWER_S = 30.0
REQUEST_S = 10.0
PAUSE_S = 0.1


def answer(monitor: Monitor, port: int, failure: Callable[[], str | None]) -> str:
    """Ask the monitor on `port` until its answer holds the word, and return that answer.

    `failure` says what has died meanwhile, None while nothing has.

    Raises:
        ClusterError: It died, or never gave that answer; the message has the last one.
    """
    deadline = time.monotonic() + ANSWER_S
    told = "nothing"
    while time.monotonic() < deadline:
        if died := failure():
            raise ClusterError(died)
        try:
            code, text = _get(monitor, port)
        except (OSError, HTTPException) as error:
            told = f"{type(error).__name__}: {error}"
        else:
            if code == 200 and monitor.word in text:  # noqa: PLR2004 (HTTP's word for well)
                return text
            told = f"HTTP {code}, {len(text)} characters without it"
        time.sleep(PAUSE_S)
    raise ClusterError(
        f"The monitor did not answer {monitor.path} with {monitor.word!r} in {ANSWER_S:.0f} s; "
        f"last it said: {told}."
    )


def _get(monitor: Monitor, port: int) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=REQUEST_S)
    try:
        connection.request("GET", monitor.path, headers=dict(monitor.headers))
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
