"""Tests that a run is locked while a lab writes it, and never after the end of that lab."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.core.errors import ResultsError
from lab.results import lock

HOLD = """
import sys, pathlib, lab.results.lock
with lab.results.lock.locked(pathlib.Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_lab(run: Path) -> Iterator[None]:
    """Lock a run in another process, which is killed at the end of the block."""
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"in\n"
            yield
        finally:
            process.kill()


def test_only_one_lab_writes_a_run(tmp_path: Path) -> None:
    """A second lab is refused until the first one ends, even by a kill."""
    with (
        another_lab(tmp_path / "run"),
        pytest.raises(ResultsError, match="Another lab is writing"),
        lock.locked(tmp_path / "run"),
    ):
        raise AssertionError
    with lock.locked(tmp_path / "run"):
        pass


def test_a_reader_sees_whether_a_lab_writes_a_run(tmp_path: Path) -> None:
    """A look neither creates a lock nor takes it."""
    assert not lock.is_locked(tmp_path)
    assert not list(tmp_path.iterdir())
    with another_lab(tmp_path):
        assert lock.is_locked(tmp_path)
    assert not lock.is_locked(tmp_path)
    with lock.locked(tmp_path):
        assert lock.is_locked(tmp_path)
    assert not lock.is_locked(tmp_path)
