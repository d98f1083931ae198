"""Lets two campaigns take turns, block by block: what one of them does to be told (METHOD M30)."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.cli.progress import ProgressWatch
from lab.core.model import TrialSpec


class Turns(ProgressWatch):
    """Before each block, says ``turn RUN`` on standard output and waits for a line on its input."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._block: int | None = None

    def trial(self, spec: TrialSpec) -> None:
        """Wait for the turn of the trial's block; whoever gave turns and is gone ends the run.

        Raises:
            KeyboardInterrupt: Nobody gives turns any more.
        """
        if spec.block != self._block:
            self._block = spec.block
            sys.stdout.write(f"turn {self._folder}\n")
            sys.stdout.flush()
            if not sys.stdin.readline():
                raise KeyboardInterrupt
        super().trial(spec)
