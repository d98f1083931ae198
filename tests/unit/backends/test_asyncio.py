"""Tests that the event loop runs every task, although it holds only weak references to them."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from lab.core.model import Task, Topology
from lab.planning import registry
from lab.recording.ledger_reader import CompletionCounter
from lab.worker import ledger

N = 200


@pytest.mark.parametrize("is_batch", [False, True])
def test_tasks_without_a_handle_are_not_collected(
    is_batch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector runs while they wait for a place, and sleep (docs, create_task)."""
    ledger._forget()
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    chosen = registry.select("asyncio")
    backend = chosen.backend(registry.setup(chosen, Topology(1, 2, 2), {}))
    backend.start()
    tasks = [Task(n, "workloads.io:run_async", [1_000, n]) for n in range(N)]
    if is_batch:
        backend.submit_all(tasks)
    for task in tasks if not is_batch else ():
        backend.submit(task)
        gc.collect(0)
    gc.collect()
    assert CompletionCounter(tmp_path).reaches(N, 20.0)
    backend.stop()
    ledger._forget()
