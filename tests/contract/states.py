"""Reads the states of three tasks: ``python -m tests.contract.states FOLDER LABEL EXPECTED``.

One worker executes a task that sleeps, another that waits for it, and one that raises. The program
runs as a driver, and prints their states as JSON: of the first two while the first one runs, and of
all at the end. It reads them until they are as expected, a JSON array of both lists, because a
system needs a moment until it has received or noted a task.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lab.core.backend import Backend, capabilities, setup_from_environment
from lab.core.model import Capability, Task
from lab.planning import registry
from lab.recording.ledger_reader import CompletionCounter, executions

SLEEPS_S, PATIENCE_S, LOOK_S = 6.0, 30.0, 0.1
SLEEPING, WAITING, RAISING = 1, 2, 3


def await_start(ledger: Path) -> None:
    """Wait until the ledger shows a started execution."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(list(executions(path)[1]) for path in ledger.glob("*.bin")):
        if time.monotonic() > deadline:
            raise TimeoutError("No task started.")
        time.sleep(0.02)


def states(backend: Backend, handles: dict[int, Any]) -> dict[int, str]:
    """Read the state of each task; an adapter may read the states of several tasks at once."""
    vars(backend).pop("_in_workers", None)
    return {task_id: backend.state_of(handle).value for task_id, handle in handles.items()}


def settled(
    backend: Backend, handles: dict[int, Any], expected: list[str], counter: CompletionCounter
) -> dict[int, str]:
    """Read the states until they are as expected, at most until another execution ends."""
    deadline, n_ended = time.monotonic() + PATIENCE_S, counter.count()
    while True:
        read = states(backend, handles)
        is_over = counter.count() > n_ended or time.monotonic() > deadline
        if is_over or [*read.values()] == expected:
            return read
        time.sleep(LOOK_S)


def main(label: str, expected: str) -> None:
    """Submit the tasks, and print their states."""
    during, after = json.loads(expected)
    chosen, ledger = registry.select(label), Path(os.environ["LAB_LEDGER"])
    backend = chosen.backend(setup_from_environment())
    awaits = Capability.COROUTINES in capabilities(chosen.backend, chosen.variant)
    function = "workloads.io:run_async" if awaits else "workloads.io:run"
    backend.start()
    handles = {SLEEPING: backend.submit(Task(SLEEPING, function, [round(SLEEPS_S * 1e6), 0]))}
    await_start(ledger)
    handles[WAITING] = backend.submit(Task(WAITING, function, [0, 0]))
    counter = CompletionCounter(ledger)
    read = [settled(backend, handles, during, counter)]
    handles[RAISING] = backend.submit(Task(RAISING, function, ["not a number", 0]))
    if not counter.reaches(len(handles), PATIENCE_S):
        raise TimeoutError("The tasks did not end.")
    read.append(settled(backend, handles, after, counter))
    print(json.dumps(read))  # noqa: T201 (the test reads it)
    backend.stop()


if __name__ == "__main__":
    main(*sys.argv[2:])
    os._exit(0)
