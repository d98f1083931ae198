"""Tests the program that reads the ledger and signals processes for the lab outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.recording import inside_container
from lab.worker import ledger

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Run the program, and return a function that sends a command and reads the answer."""
    argv = [sys.executable, "-m", inside_container.__name__, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin
        assert stdout

        def send(*command: object) -> dict[str, Any]:
            stdin.write(f"{json.dumps(command)}\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield send
        stdin.close()
        assert process.wait(10) == 0


def test_writers_have_their_unfinished_tasks(ask: Ask, tmp_path: Path) -> None:
    """Tasks of other phases do not count; the instant of the file is part of the answer."""
    words = ledger.create(str(tmp_path / "2-1-77-5000.bin"), 2, 1, 8)
    for row, task_id in ((1, 10), (2, 99)):
        words[8 * row], words[8 * row + 2] = task_id, time.monotonic_ns()
    finished, [writer] = ask("writers", 10, 20)["answer"]
    assert finished == 0
    assert writer == [2, 1, words[1], [10], 5000]


def test_a_process_is_listed_killed_and_gone(ask: Ask) -> None:
    """A process that has ended before is not reached."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as target:
        assert target.pid in [pid for pid, _, _ in ask("processes")["answer"]]
        assert ask("signal", [target.pid], signal.SIGKILL)["answer"] == [target.pid]
        assert ask("ended", target.pid)["answer"] is True
        assert target.wait(10) == -signal.SIGKILL
    assert ask("signal", [target.pid], signal.SIGKILL)["answer"] == []


def test_an_error_is_an_answer(ask: Ask) -> None:
    """The program goes on after it."""
    assert ask("ended", "no number")["error"].startswith("TypeError")
    assert ask("unknown")["error"] == "KeyError: 'unknown'"
    assert "answer" in ask("processes")
