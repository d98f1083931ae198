"""Defines functions for `lab bench --task`: some work, others misbehave."""

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
    """Return whether the lock is held."""
    return lock.locked()


async def later(number: int) -> int:
    """Return the number, as a coroutine."""
    return number


async def waits(number: int) -> int:
    """Return the number after a sleep during which other coroutines can run."""
    await asyncio.sleep(2 * WAIT_NS / 1e9)
    return number


def unrepeatable() -> float:
    """Return a different number in each call."""
    return random.SystemRandom().random()


def unordered() -> list[str]:
    """Return a list whose order depends on the hash seed of the process."""
    return [*{"a", "b", "c", "d", "e", "f"}]


def lines() -> object:
    """Return an object that cannot be pickled."""
    return (line for line in "abc")


def raises() -> None:
    """Raise."""
    raise ValueError("no such thing")


def exits() -> None:
    """Exit with `sys.exit`."""
    sys.exit(3)


def dies() -> None:
    """Exit without cleanup."""
    os._exit(3)


def killed() -> None:
    """Kill the process with SIGKILL, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps() -> None:
    """Sleep for ever."""
    time.sleep(3600)


def oversleeps() -> None:
    """Sleep for longer than the test's deadline."""
    time.sleep(3)


def forks() -> int:
    """Fork, and return in the child as well as in the parent."""
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
    """Write two files into the folder of the ledger."""
    folder = Path(os.environ["LAB_LEDGER"])
    folder.joinpath("mine.bin").write_bytes(b"no ledger" * 100)
    folder.joinpath("mine.txt").write_text("nor this")
    return 1


def removes() -> int:
    """Remove the files of the ledger."""
    for path in Path(os.environ["LAB_LEDGER"]).glob("*.bin"):
        path.unlink(missing_ok=True)
    return 1


def starts_child() -> int:
    """Start a child in a new session, with an empty environment and no inherited pipe."""
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
    """Print private strings, and raise an error with them."""
    text = " ".join(SECRETS.values())
    sys.stdout.write(text)
    raise RuntimeError(text)
