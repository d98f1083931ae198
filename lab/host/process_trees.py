"""Lists the processes of a trial: the trees below processes that the lab has started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

import psutil


def trees(roots: Collection[int]) -> dict[int, list[int]]:
    """Return the ids of each of these children of the lab, followed by those of its descendants.

    The list of a root that has ended is empty. The table of processes is read once for all roots,
    because that takes most of the time.
    """
    below: dict[int, list[int]] = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            below.setdefault(process.ppid(), []).append(process.pid)
    children = {*below.get(os.getpid(), ())}
    return {root: [*_tree(root, below)] if root in children else [] for root in roots}


def _tree(pid: int, below: Mapping[int, Sequence[int]]) -> Iterator[int]:
    yield pid
    for child in below.get(pid, ()):
        yield from _tree(child, below)
