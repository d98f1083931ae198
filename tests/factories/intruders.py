"""Another user of the machine, and what it may try: ``python -m tests.factories.intruders``.

Only root becomes another user, so where tests run as somebody else they need sudo without a
password, as CI has it. The function to call comes by standard input; its answer is printed.
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

ROOT, NOBODY = 0, 65_534
PATIENCE_S = 60.0


def as_user(user: int, act: Callable[..., Any], *arguments: Any) -> Any:
    """Call `act` as another user of this machine, and return its answer, or the error's words."""
    sudo = ["sudo", "-n", "--"] if os.geteuid() != ROOT else []
    done = subprocess.run(
        [*sudo, sys.executable, "-m", __name__],
        cwd=Path(__file__).parents[2],
        input=pickle.dumps((user, act, arguments)),
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return pickle.loads(done.stdout)  # noqa: S301 (our own)


def as_nobody(act: Callable[..., str], *arguments: Any) -> str:
    """Call `act` as a user who is neither root nor the one of this process."""
    answer: str = as_user(NOBODY, act, *arguments)
    return answer


def say(port: int, *lines: str) -> str:
    """Say lines to what listens on a port of loopback, and return the first word of each answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        answers = connection.makefile("r", encoding="utf-8")
        heard = []
        for line in lines:
            connection.sendall(f"{line}\r\n".encode())
            heard.append(answers.readline().split()[0])
    return " ".join(heard)


def knock(port: int) -> str:
    """Ask a port as a client of HTTP does, and one of Redis; return how that was refused."""
    answer = first_words(port, b"GET / HTTP/1.0\r\n\r\n")
    if found := re.match(r"HTTP/1\.[01] (\d{3}) ", answer):
        return found[1]
    if answer.startswith("-"):  # an error as Redis words it
        return first_words(port, b"CONFIG SET dir /tmp\r\n").split()[0]
    return answer or "closed"


def first_words(port: int, question: bytes) -> str:
    """Return what the first answer to a question holds; nothing where the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(question)
            return connection.recv(4_096).decode(errors="replace")
        except ConnectionError:
            return ""


def main() -> None:
    """Become the user, call the function, and print its answer as a pickle."""
    user, act, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 (our own)
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
