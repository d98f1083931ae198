"""Tests that the trees below several children of the lab are listed at once."""

from __future__ import annotations

import subprocess
import sys

from lab.host import process_trees

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
"""


def parent() -> subprocess.Popen[str]:
    """Start a process with one child; it prints the child's id, and ends after a line of input."""
    argv = [sys.executable, "-c", PARENT]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_tree_has_its_root_first_and_an_ended_root_has_none() -> None:
    """A grandchild belongs to its parent alone, and is no root."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with parent() as first, parent() as second:
        assert first.stdout
        assert second.stdout
        below = [int(first.stdout.readline()), int(second.stdout.readline())]
        listed = process_trees.trees([first.pid, second.pid, ended.pid, below[0]])
        for running in (first, second):
            running.communicate("\n")
    assert listed == {
        first.pid: [first.pid, below[0]],
        second.pid: [second.pid, below[1]],
        ended.pid: [],
        below[0]: [],
    }
