"""Functions such as a user may bring to `lab bench --task`: good ones, and those that misbehave."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOCK = (threading.Lock(),)
WAIT_NS = 1_000_000
PAIR = (3, b"four")
doubled: Callable[[int], int] = lambda number: 2 * number  # noqa: E731 (a lambda is the point)


def add(first: int, second: int = 0) -> int:
    """Return the sum."""
    return first + second


def measure(number: int, text: bytes) -> int:
    """Return the number and the text's length."""
    return number + len(text)


def locked(lock: threading.Lock) -> bool:
    """Tell whether the lock is held."""
    return lock.locked()


async def later(number: int) -> int:
    """Return the number, as a coroutine."""
    return number


async def waits(number: int) -> int:
    """Return the number after a while in which others may run."""
    await asyncio.sleep(2 * WAIT_NS / 1e9)
    return number


def unrepeatable() -> float:
    """Return something else each time."""
    return random.SystemRandom().random()


def unordered() -> list[str]:
    """Return what is in another order in each process."""
    return [*{"a", "b", "c", "d", "e", "f"}]


def lines() -> object:
    """Return what no queue can carry back."""
    return (line for line in "abc")


def raises() -> None:
    """Raise."""
    raise ValueError("no such thing")


def exits() -> None:
    """Leave by `sys.exit`."""
    sys.exit(3)


def dies() -> None:
    """Leave without a word."""
    os._exit(3)


def killed() -> None:
    """Die as a process dies that wants too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps() -> None:
    """Sleep for ever."""
    time.sleep(3600)


def oversleeps() -> None:
    """Sleep for longer than anybody waits, but not for ever."""
    time.sleep(3)


def forks() -> int:
    """Fork, and have the child come back as the parent does."""
    os.fork()
    return 1


def prints() -> int:
    """Print a megabyte."""
    sys.stdout.write("word " * 200_000 + "\n")
    sys.stdout.flush()
    return 1


def allocates() -> int:
    """Allocate without end."""
    blocks = []
    while True:
        blocks.append(bytearray(2**26))


def writes() -> int:
    """Write into the folder of the ledger, twice as a ledger might look."""
    folder = Path(os.environ["LAB_LEDGER"])
    folder.joinpath("mine.bin").write_bytes(b"no ledger" * 100)
    folder.joinpath("mine.txt").write_text("nor this")
    return 1


def removes() -> int:
    """Remove what the ledger has so far."""
    for path in Path(os.environ["LAB_LEDGER"]).glob("*.bin"):
        path.unlink(missing_ok=True)
    return 1


def starts_child() -> int:
    """Leave a child in a session of its own, with an empty environment and no pipe of ours."""
    null = subprocess.DEVNULL
    subprocess.Popen(
        ["/bin/sleep", "4321"], env={}, start_new_session=True, stdin=null, stdout=null, stderr=null
    )
    return 1


SECRETS = {
    "token": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "path": "/srv/private/of-mine/file.csv",
    "host": "build-host-77",
    "user": "jane.doe",
}


def leaks() -> int:
    """Print private texts, and raise them."""
    text = " ".join(SECRETS.values())
    sys.stdout.write(text)
    raise RuntimeError(text)
