"""Looks at the processes of a trial while it runs: which there were, and what they were given."""

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
    """One process: how it was started, and the variables that it was given."""

    words: tuple[str, ...]
    variables: Mapping[str, str]


@contextlib.contextmanager
def watching() -> Iterator[dict[int, Seen]]:
    """Yield a table that grows while programs run below this process; forks are no programs."""
    seen: dict[int, Seen] = {}
    ended = threading.Event()
    # An earlier test may have left this process a child, such as a resource tracker.
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
        for process in (one for one in me.children(recursive=True) if one.pid not in earlier):
            with contextlib.suppress(psutil.Error, OSError):
                words = tuple(process.cmdline())
                # Between fork and exec it has this process's own words and variables.
                if process.exe() and words != tuple(me.cmdline()):
                    given = _given(process.pid)
                    if given and tuple(process.cmdline()) == words:
                        seen[process.pid] = Seen(words, given)
        time.sleep(LOOK_S)


def _given(pid: int) -> dict[str, str]:
    entries = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries) if name}
