"""Calls functions as another user of the machine: ``python -m tests.factories.intruders``.

Only root can become another user: tests of other users need sudo without a password, as in CI. The
program reads the function from standard input, and prints its result.
"""

from __future__ import annotations

import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT, UNPRIVILEGED = 0, 65_534
PATIENCE_S = 60.0


def as_user(user: int, act: Callable[..., Any], *arguments: Any) -> Any:
    """Call `act` as another user of this machine; return its result or its error as text."""
    sudo = ["sudo", "-n", "--"] if os.geteuid() != ROOT else []
    done = subprocess.run(
        [*sudo, sys.executable, "-m", __name__],
        cwd=Path(__file__).parents[2],
        input=pickle.dumps((user, act, arguments)),
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return pickle.loads(done.stdout)  # noqa: S301 (`main` wrote it)


def as_nobody(act: Callable[..., str], *arguments: Any) -> str:
    """Call `act` as a user who is neither root nor the user of this process."""
    answer: str = as_user(UNPRIVILEGED, act, *arguments)
    return answer


def say(port: int, *lines: str) -> str:
    """Send lines to a port on loopback, and return the first word of each answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        answers = connection.makefile("r", encoding="utf-8")
        words = []
        for line in lines:
            connection.sendall(f"{line}\r\n".encode())
            words.append(answers.readline().split()[0])
    return " ".join(words)


def knock(port: int) -> str:
    """Send an HTTP and a Redis request to a port; return the status or error of its refusal."""
    answer = first_words(port, b"GET / HTTP/1.0\r\n\r\n")
    if match := re.match(r"HTTP/1\.[01] (\d{3}) ", answer):
        return match[1]
    if answer.startswith("-"):  # an error in the Redis protocol
        return first_words(port, b"CONFIG SET dir /tmp\r\n").split()[0]
    return answer or "closed"


def first_words(port: int, question: bytes) -> str:
    """Return the first bytes of an answer as text; empty if the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(question)
            return connection.recv(4_096).decode(errors="replace")
        except ConnectionError:
            return ""


def main() -> None:
    """Become the user, call the function, and print its result as a pickle."""
    user, act, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 (`as_user` wrote it)
    if user != ROOT:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    try:
        answer = act(*arguments)
    except OSError as error:
        answer = f"{type(error).__name__}: {error}"
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
