"""Stops clients twice, in a driver's place: ``python -m tests.contract.stopping FOLDER LABEL ...``.

Each has handed over one task, which nobody takes. Prints for each label what its client has left in
this process: threads, sockets, files, children.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import psutil

from lab.core.backend import Backend, setup_from_environment
from lab.core.model import Capability, Task
from lab.core.serialization import order_from_json
from lab.planning import registry

# Helpers of the standard library that live as long as the interpreter does.
LASTING = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def children() -> set[psutil.Process]:
    """Every process below this one that is still at work."""
    alive = set()
    for child in psutil.Process().children(recursive=True):
        try:
            words = " ".join(child.cmdline())
        except psutil.Error:
            continue  # ended while we looked
        # A zombie has no words: it has ended, and only its exit code waits.
        if words and not any(helper in words for helper in LASTING):
            alive.add(child)
    return alive


def held() -> set[str]:
    """Name what this process holds, so that it can be compared."""
    me = psutil.Process()
    return {
        *(f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()),
        *(f"socket {one.laddr} {one.raddr} {one.status}" for one in me.net_connections("all")),
        *(f"file {file.path}" for file in me.open_files()),
        *(f"process {child.pid}" for child in children()),
    }


def left_by(backend: Backend, *, takes_tasks: bool) -> list[str]:
    """Start, submit, stop and stop again; name what is there that was not before."""
    before = held()
    backend.start()
    if takes_tasks:
        backend.submit(Task(1, "workloads.noop:run", 1))
    backend.stop()
    backend.stop()
    return sorted(held() - before)


def main(folder: Path, labels: list[str]) -> None:
    """Do so with every label; all have the same servers."""
    order = order_from_json(json.loads((folder / "trial.json").read_text()))
    endpoints = setup_from_environment().endpoints
    left = {}
    for label in labels:
        chosen = registry.select(label)
        setup = registry.setup(chosen, order.spec.topology, endpoints)
        promised = next(v.capabilities for v in chosen.backend.variants if v.name == chosen.variant)
        takes_tasks = Capability.SUBMIT in promised
        left[label] = left_by(chosen.backend(setup), takes_tasks=takes_tasks)
    print(json.dumps(left))  # noqa: T201 (the test reads it)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
