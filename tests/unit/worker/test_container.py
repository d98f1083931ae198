"""Tests that a container starts the commands of a node with their slots, and waits for servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.worker import clock_file, container

SHOW = [sys.executable, "-c", "import os; print(os.environ['LAB_SLOT'], os.getpid())"]
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def node(*commands: tuple[list[str], int]) -> subprocess.Popen[str]:
    """Run the commands of a node as its container does."""
    environment = {**os.environ, container.COMMANDS: json.dumps(commands)}
    argv = [sys.executable, "-m", container.__name__, "node"]
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_single_worker_is_the_process_itself() -> None:
    """The lab's process is replaced by the worker."""
    started = node((SHOW, 4))
    output, _ = started.communicate(timeout=60)
    assert output.split() == ["0", str(started.pid)]


def test_the_file_of_a_faked_clock_exists_before_the_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, libfaketime may end a worker with threads."""
    monkeypatch.setenv(clock_file.FAKED, str(tmp_path / "clock"))
    path = f"os.environ[{clock_file.FAKED!r}]"
    show = f"import os, pathlib; print(pathlib.Path({path}).read_text())"
    output, _ = node(([sys.executable, "-c", show], 1)).communicate(timeout=60)
    assert output.split() == ["+0.000000"]


def test_several_workers_have_separate_slots_and_one_end_ends_the_node() -> None:
    """Slots are numbered in order; a worker that ends also ends the node, with its exit code."""
    failing = [
        sys.executable,
        "-c",
        "import os; print(os.environ['LAB_SLOT'], flush=True); os._exit(7)",
    ]
    started = node((SLEEP, 2), (failing, 1))
    output, _ = started.communicate(timeout=60)
    assert (output.split(), started.returncode) == (["2"], 7)


def test_waiting_returns_the_version_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer yet is called again."""
    refusals = [ConnectionError("refused"), ConnectionError("loading")]

    def connect(_: str) -> str:
        if refusals:
            raise refusals.pop()
        return "redis 9.9"

    monkeypatch.setattr(container, "ABOUT", {"redis": connect})
    monkeypatch.setattr(container, "LOOK_S", 0.0)
    assert container.wait("redis", "somewhere") == "redis 9.9"


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message contains the last error."""

    def refuse(_: str) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(container, "ABOUT", {"redis": refuse})
    with pytest.raises(SystemExit, match="redis did not answer in 0 s: no route"):
        container.wait("redis", "somewhere", patience_s=0.0)


def test_termination_reaches_each_worker_once_and_each_may_finish() -> None:
    """A second signal would end the tasks of some workers at once."""
    # Not `signal.pause`: a signal just before it is handled after it, and so never.
    program = (
        "import os, signal, sys, time\n"
        "def end(*_): os.write(1, b'terminated\\n'); time.sleep(float(sys.argv[1])); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); os.write(1, b'ready\\n')\n"
        "while True: time.sleep(0.05)"
    )
    commands = [([sys.executable, "-c", program, wait], 1) for wait in ("0", "0.5")]
    started = node(*commands)
    assert started.stdout
    assert [started.stdout.readline() for _ in commands] == ["ready\n"] * 2
    started.terminate()
    output, _ = started.communicate(timeout=20)
    assert output.splitlines() == ["terminated"] * 2
    assert started.returncode == 0
