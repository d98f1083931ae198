"""Restarts the parts of a cluster that have ended, a stated time after their end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lab.core.provider import Cluster
from lab.results.schema import FaultRow


class Restart(NamedTuple):
    """A part that was restarted, and the instant at which it ran again."""

    part: str
    at_ns: int


class Supervisor:
    """The supervisor of a cluster under a fault.

    Attributes:
        restarts: The restarts so far.
    """

    def __init__(self, cluster: Cluster, restart_s: float | None) -> None:
        self.restarts: list[Restart] = []
        self._cluster, self._restart_s = cluster, restart_s
        self._dead_ns: dict[str, int] = {}

    def step(self, now_ns: int) -> None:
        """Restart each part whose end was seen `restart_s` seconds ago; None: none."""
        if self._restart_s is None or not self._cluster.supervised:
            return
        dead = self._cluster.dead_parts()
        # A part that runs again is dropped, so that a second end is timed from itself.
        self._dead_ns = {part: self._dead_ns.get(part, now_ns) for part in dead}
        for part, since_ns in self._dead_ns.items():
            if now_ns - since_ns >= self._restart_s * 1e9:
                self._cluster.restart(part)
                self.restarts.append(Restart(part, time.monotonic_ns()))


def with_restarts(rows: Sequence[FaultRow], restarts: Sequence[Restart]) -> list[FaultRow]:
    """Return hits with the instant of the first restart of their target after them.

    If another part ended because of a hit, such as a worker without its server, its restart counts
    for the last hit before it that has none.
    """
    completed = [*rows]
    remaining = [*restarts]
    # The hit parts first: the restart of another part must not take the place of theirs.
    for is_of_target in (True, False):
        # A copy, because the loop removes from the list.
        for restart in [*remaining]:
            candidates = [
                row
                for row in completed
                if row.injected_ns is not None
                and row.restarted_ns is None
                and row.injected_ns <= restart.at_ns
                and (row.target.partition(" ")[0] == restart.part) == is_of_target
            ]
            for row in candidates[-1:]:
                completed[row.hit] = replace(row, restarted_ns=restart.at_ns)
                remaining.remove(restart)
    return completed
