"""Stops clients twice, as a driver: ``python -m tests.contract.stopping FOLDER LABEL ...``.

Each client has submitted one task, which no worker takes. The program prints for each label the
resources that its client did not release in this process: threads, sockets, files, child processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path

import psutil

from lab.core.backend import Backend, setup_from_environment
from lab.core.model import Capability, Task
from lab.core.serialization import order_from_json
from lab.planning import registry

# Helpers of the standard library, which live as long as the interpreter.
# The last are services that a browser starts when it likes, and ends with itself.
TRACKER = "multiprocessing.resource_tracker"
HELPERS = (TRACKER, "multiprocessing.forkserver", "--type=utility")


def children() -> set[psutil.Process]:
    """Return the running processes below this one."""
    alive = set[psutil.Process]()
    try:
        # psutil reads the parent of every process of the machine; most tests have no child.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return alive
    if _is_tracker_alone():
        return alive
    for child in psutil.Process().children(recursive=True):
        try:
            words = " ".join(child.cmdline())
        except psutil.Error:
            continue  # it has just ended
        # A zombie, which has ended, has no command line.
        if words and not any(helper in words for helper in HELPERS):
            alive.add(child)
    return alive


def _is_tracker_alone() -> bool:
    """Return whether the resource tracker, which starts no process, is the only child.

    It lives as long as the process in which one test has started it.
    """
    # A thread or a child that has just ended has no file.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lists = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
        pids = " ".join(lists).split()
        return [TRACKER in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids] == [True]
    return False


def resources() -> set[str]:
    """Return the names of this process's threads, sockets, files and child processes."""
    me = psutil.Process()
    return {
        *(f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()),
        *(f"socket {s.laddr} {s.raddr} {s.status}" for s in me.net_connections("all")),
        *(f"file {file.path}" for file in me.open_files()),
        *(f"process {child.pid}" for child in children()),
    }


def leaks_of(backend: Backend, *, takes_tasks: bool) -> list[str]:
    """Start a client, submit a task, stop it twice; return the resources that remain."""
    before = resources()
    backend.start()
    if takes_tasks:
        backend.submit(Task(1, "workloads.noop:run", 1))
    backend.stop()
    backend.stop()
    return sorted(resources() - before)


def main(folder: Path, labels: list[str]) -> None:
    """Print the leaks of every label; all labels have the same servers."""
    order = order_from_json(json.loads((folder / "trial.json").read_text()))
    endpoints = setup_from_environment().endpoints
    leaks = {}
    for label in labels:
        chosen = registry.select(label)
        setup = registry.setup(chosen, order.spec.topology, endpoints)
        promised = next(v.capabilities for v in chosen.backend.variants if v.name == chosen.variant)
        takes_tasks = Capability.SUBMIT in promised
        leaks[label] = leaks_of(chosen.backend(setup), takes_tasks=takes_tasks)
    print(json.dumps(leaks))  # noqa: T201 (the test reads it)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
