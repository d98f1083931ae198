"""Pauses a campaign before each block, so that another process can interleave two of them (M30)."""

from __future__ import annotations

import sys

from lab.cli.progress import ProgressWatch
from lab.core.model import TrialSpec
from lab.results.store import Store


class InterleavedWatch(ProgressWatch):
    """Before each block, writes ``turn RUN`` to standard output and waits for a line of input."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._folder = store.folder
        self._block: int | None = None

    def trial(self, spec: TrialSpec) -> None:
        """Wait for the line that starts the trial's block.

        Raises:
            KeyboardInterrupt: The process that starts the blocks has ended.
        """
        if spec.block != self._block:
            self._block = spec.block
            # `lab compare` reads this pipe; progress and messages go to standard error.
            sys.stdout.write(f"turn {self._folder}\n")
            # A pipe is buffered, and the other process waits for the line.
            sys.stdout.flush()
            # Like Ctrl-C, the end of input stops the servers and saves the rows.
            if not sys.stdin.readline():
                raise KeyboardInterrupt
        super().trial(spec)
