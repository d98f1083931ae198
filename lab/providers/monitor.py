"""Polls a backend's monitor over HTTP until its answer shows the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from lab.core.errors import ClusterError
from lab.core.monitor import Monitor

ANSWER_S = 30.0
REQUEST_S = 10.0
PAUSE_S = 0.1


def answer(monitor: Monitor, port: int, failure: Callable[[], str | None]) -> str:
    """Poll the monitor on `port` until its answer contains `monitor.word`; return that answer.

    `failure` returns the reason if a process of the cluster has ended, otherwise None.

    Raises:
        ClusterError: A process ended, or no such answer came in `ANSWER_S`; the message describes
            the last answer.
    """
    deadline = time.monotonic() + ANSWER_S
    last = "no answer"
    while time.monotonic() < deadline:
        # A monitor that has died never answers, and its log has the reason.
        if reason := failure():
            raise ClusterError(reason)
        try:
            code, text = _get(monitor, port)
        except (OSError, HTTPException) as error:
            last = f"{type(error).__name__}: {error}"
        else:
            if code == 200 and monitor.word in text:  # noqa: PLR2004 (HTTP's OK)
                return text
            last = f"HTTP {code}, {len(text)} characters without it"
        time.sleep(PAUSE_S)
    raise ClusterError(
        f"The monitor did not answer {monitor.path} with {monitor.word!r} in {ANSWER_S:.0f} s; "
        f"the last answer was: {last}."
    )


def _get(monitor: Monitor, port: int) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=REQUEST_S)
    try:
        connection.request("GET", monitor.path, headers=dict(monitor.headers))
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
