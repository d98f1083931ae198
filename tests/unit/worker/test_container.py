"""What runs in a container starts the system's own commands, each in its slot, and waits well."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lab.worker import container

SHOW = [sys.executable, "-c", "import os; print(os.environ['LAB_SLOT'], os.getpid())"]
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def node(*commands: tuple[list[str], int]) -> subprocess.Popen[str]:
    """Run a node's commands as its container would."""
    environment = {**os.environ, container.COMMANDS: json.dumps(commands)}
    argv = [sys.executable, "-m", container.__name__, "node"]
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_single_worker_is_the_process_itself() -> None:
    """Nothing of ours stays between the container and the system's one process."""
    started = node((SHOW, 4))
    told, _ = started.communicate(timeout=60)
    assert told.split() == ["0", str(started.pid)]


def test_several_workers_get_slots_of_their_own_and_one_end_ends_the_node() -> None:
    """Slots follow one another; a worker that ends takes the node down with its own code."""
    failing = [
        sys.executable,
        "-c",
        "import os; print(os.environ['LAB_SLOT'], flush=True); os._exit(7)",
    ]
    started = node((SLEEP, 2), (failing, 1))
    told, _ = started.communicate(timeout=60)
    assert (told.split(), started.returncode) == (["2"], 7)


def test_waiting_tells_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not up yet is asked again."""
    refusals = [ConnectionError("refused"), ConnectionError("loading")]

    def ask(_: str) -> str:
        if refusals:
            raise refusals.pop()
        return "redis 9.9"

    monkeypatch.setattr(container, "ABOUT", {"redis": ask})
    monkeypatch.setattr(container, "LOOK_S", 0.0)
    assert container.wait("redis", "somewhere") == "redis 9.9"


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last complaint is the message."""

    def refuse(_: str) -> str:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(container, "ABOUT", {"redis": refuse})
    with pytest.raises(SystemExit, match="redis did not answer in 0 s: nobody there"):
        container.wait("redis", "somewhere", patience_s=0.0)
