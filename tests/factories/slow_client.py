"""A system whose client takes 5 ms to submit a task: one driver cannot submit 200 a second.

`declare` makes it a backend of another package, as an entry point does.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.backends.raw_redis import RawRedis
from lab.core.model import Task
from lab.planning import registry

SUBMIT_S = 0.005
NAME = "slow-client"
LABEL = f"{NAME}[one-by-one]@default"


class SlowClient(RawRedis):
    """The client of `raw-redis`, which also waits before it sends a task."""

    def submit(self, task: Task) -> None:
        """Wait, as for a distant server, and send the task."""
        time.sleep(SUBMIT_S)
        super().submit(task)


def declare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the backend known to this process and to those of its trials."""
    package = folder / "slow_client-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-client\nVersion: 1.0\n")
    entry = f"[lab.backends]\n{NAME} = {__name__}:{SlowClient.__name__}\n"
    (package / "entry_points.txt").write_text(entry)
    path = [str(folder), str(Path(__file__).parents[2])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.syspath_prepend(folder)
    registry.refresh()
