"""Records the processes below this one while a trial runs, with their variables."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK_S = 0.01


class Seen(NamedTuple):
    """One process: its command line, and its initial variables."""

    words: tuple[str, ...]
    variables: Mapping[str, str]


@contextlib.contextmanager
def watching() -> Iterator[dict[int, Seen]]:
    """Yield a table of the programs that run below this process; it grows while they run.

    A fork without exec is not a program.
    """
    seen: dict[int, Seen] = {}
    ended = threading.Event()
    # This process may have child processes of earlier tests, such as a resource tracker.
    earlier = {process.pid for process in psutil.Process().children(recursive=True)}
    thread = threading.Thread(target=_watch, args=(seen, ended, earlier))
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _watch(seen: dict[int, Seen], ended: threading.Event, earlier: set[int]) -> None:
    me = psutil.Process()
    while not ended.is_set():
        for process in (p for p in me.children(recursive=True) if p.pid not in earlier):
            with contextlib.suppress(psutil.Error, OSError):
                words = tuple(process.cmdline())
                # Between fork and exec it has the command line and variables of this process.
                if process.exe() and words != tuple(me.cmdline()):
                    variables = _variables(process.pid)
                    if variables and tuple(process.cmdline()) == words:
                        seen[process.pid] = Seen(words, variables)
        time.sleep(LOOK_S)


def _variables(pid: int) -> dict[str, str]:
    entries = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries) if name}
