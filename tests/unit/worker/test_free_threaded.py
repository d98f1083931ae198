"""Tests that the ledger is complete if threads write it at the same time, without the GIL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.recording.ledger_reader import executions
from tests.factories.interpreters import FREE_THREADED, interpreter, run_code

pytestmark = pytest.mark.interpreters

THREADS, TASKS = 8, 20_000
SETUP = """
import json, sys, threading
from lab.worker import execution, ledger

assert not sys._is_gil_enabled()
barrier = threading.Barrier(THREADS)

def in_threads(serve):
    def begin(thread):
        barrier.wait()
        serve(thread)
    threads = [threading.Thread(target=begin, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""
EXECUTE = """
def serve(thread):
    for task_id in range(thread, THREADS * TASKS, THREADS):
        execution.execute(task_id, "operator:index", 3 * task_id)

in_threads(serve)
"""
TAKE = """
execution.stamp(0)
take, words = ledger._segment
rows = [[] for _ in range(THREADS)]
in_threads(lambda thread: rows[thread].extend(take() for _ in range(TASKS)))
print(json.dumps(rows))
"""


def run_in_threads(code: str, folder: Path) -> str:
    """Run a program on a free-threaded Python; its ledger is in `folder`."""
    program = f"THREADS, TASKS = {THREADS}, {TASKS}\n{SETUP}{code}"
    environment = {"LAB_LEDGER": str(folder), "LAB_NODE": "0", "LAB_SLOT": "0"}
    return run_code(interpreter(*FREE_THREADED), program, environment)


def test_threads_overwrite_no_row(tmp_path: Path) -> None:
    """Every task has one row with its own words, also while the files grow."""
    run_in_threads(EXECUTE, tmp_path)
    files = [*tmp_path.glob("*.bin")]
    records = [record for file in files for record in executions(file)[1]]
    assert len(files) > 2
    assert sorted(record.task_id for record in records) == [*range(THREADS * TASKS)]
    assert all(record.answer == 3 * record.task_id for record in records)
    assert all(record.started_ns <= record.finished_ns for record in records)
    # Each thread wrote the tasks of one residue class, and no other thread did.
    assert len({(r.thread, r.task_id % THREADS) for r in records}) == THREADS


def test_threads_take_each_row_number_once(tmp_path: Path) -> None:
    """The row counter of a file is atomic: no number is taken twice, and none is left out."""
    rows = json.loads(run_in_threads(TAKE, tmp_path))
    taken = sorted(row for of_thread in rows for row in of_thread)
    assert taken == [8 * row for row in range(2, THREADS * TASKS + 2)]
    assert all(of_thread == sorted(of_thread) for of_thread in rows)
