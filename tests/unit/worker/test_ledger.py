"""Tests that the ledger is complete: with threads, forks, spawned children, coroutines, kills."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.recording.ledger_reader import CompletionCounter, Execution, executions, intents
from lab.worker import execution, ledger


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty ledger folder that this process writes to."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "3", "SLOT": "5"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    yield tmp_path
    ledger._forget()


def read_all(folder: Path) -> list[Execution]:
    """Return every execution of every file, by task id."""
    records = [record for path in folder.glob("*.bin") for record in executions(path)[1]]
    return sorted(records, key=lambda record: record.task_id)


def double(argument: int) -> int:
    """Return the answer of a task."""
    return 2 * argument


async def nap(argument: int) -> int:
    """Return the answer of a coroutine task after other coroutines have run."""
    await asyncio.sleep(0.001)
    return argument


def fail(argument: int) -> int:
    """Raise an exception in a task."""
    raise ValueError(argument)


DOUBLE, NAP, FAIL = (f"{__name__}:{name}" for name in ("double", "nap", "fail"))


@pytest.fixture(autouse=True)
def functions() -> None:
    """Register the tasks of this file, which pytest does not import by name."""
    execution._functions.update({DOUBLE: double, NAP: nap, FAIL: fail})


def test_a_record_is_complete(folder: Path) -> None:
    """A record has task, thread, attempt, ordered instants, and the checksum of the answer."""
    before = time.monotonic_ns()
    assert execution.execute(7, DOUBLE, 21, attempt=2) == 42
    after = time.monotonic_ns()
    (path,) = folder.iterdir()
    header, records = executions(path)
    (record,) = records
    assert (header.node, header.slot, header.pid) == (3, 5, os.getpid())
    assert header.time_namespace == ledger.time_namespace()
    assert (record.task_id, record.thread, record.attempt) == (7, threading.get_ident(), 2)
    assert (record.answer, record.outcome) == (42, ledger.OK)
    assert before <= record.started_ns <= record.finished_ns <= after


def test_a_task_that_raises_is_recorded_and_raises(folder: Path) -> None:
    """The backend gets the exception, and the ledger records it."""
    with pytest.raises(ValueError, match="13"):
        execution.execute(1, FAIL, 13)
    (record,) = read_all(folder)
    assert record.outcome == ledger.RAISED
    assert record.finished_ns >= record.started_ns > 0


def test_threads_lose_no_record_while_files_grow(folder: Path) -> None:
    """Eight threads write far beyond the end of the first file, each task exactly once."""
    n = ledger.FIRST_ROWS * 6
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # maximises the number of collisions
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: execution.execute(i, DOUBLE, i), range(n)))
    finally:
        sys.setswitchinterval(interval)
    records = read_all(folder)
    assert [record.task_id for record in records] == list(range(n))
    assert all(record.answer == 2 * record.task_id for record in records)
    assert len(list(folder.iterdir())) >= 2


def test_coroutines_interleave_in_one_file(folder: Path) -> None:
    """Overlapping coroutines write separate rows."""

    async def main() -> None:
        await asyncio.gather(*(execution.execute_async(i, NAP, i) for i in range(50)))

    asyncio.run(main())
    records = read_all(folder)
    assert [record.answer for record in records] == list(range(50))
    assert records[-1].started_ns < min(record.finished_ns for record in records)


def test_a_cancelled_coroutine_is_recorded_as_cancelled(folder: Path) -> None:
    """A cancelled task is recorded differently from a task that raised."""

    async def main() -> None:
        task = asyncio.create_task(execution.execute_async(1, NAP, 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert [record.outcome for record in read_all(folder)] == [ledger.CANCELLED]


# A separate program, because a fork server keeps the environment in which it was started.
FAMILY = """
import multiprocessing, sys
from lab.worker import execution as kernel

def work(first):
    for i in range(first, first + 100):
        kernel.execute(i, "workloads.noop:run", i)

if __name__ == "__main__":
    work(0)  # the parent's file is open when the children start
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(1_000 * n,)) for n in (1, 2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    work(100)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_write_separate_files(folder: Path, tmp_path: Path, method: str) -> None:
    """Parent and children write at the same time, with every start method."""
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    subprocess.run([sys.executable, str(program), method], check=True)
    expected = [*range(200), *range(1_000, 1_100), *range(2_000, 2_100)]
    assert [record.task_id for record in read_all(folder)] == expected
    assert len(list(folder.glob("*.bin"))) == 3


ENDLESS = """
import itertools
from lab.worker import execution as kernel
for i in itertools.count():
    kernel.execute(i, "workloads.noop:run", i)
"""


def test_records_before_a_sigkill_are_readable(folder: Path) -> None:
    """KAT-16: a process is killed at full speed; every published record is complete."""
    child = subprocess.Popen([sys.executable, "-c", ENDLESS])
    watcher = CompletionCounter(folder)
    while watcher.count() < 5_000:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    records = read_all(folder)
    finished = [record for record in records if record.finished_ns]
    assert [record.task_id for record in finished] == list(range(len(finished)))
    assert all(r.answer == r.task_id and r.started_ns <= r.finished_ns for r in finished)
    assert len(records) - len(finished) <= 1
    assert watcher.count() == len(finished) >= 5_000


def test_an_unfinished_execution_is_read_as_unfinished(folder: Path) -> None:
    """A row that was begun and not published has a start and no end."""
    words, row = ledger.begin(9, 0, 1_000)
    words[row + 3] = 2_000  # the process was killed while it wrote the finish
    (record,) = read_all(folder)
    assert (record.task_id, record.started_ns, record.finished_ns) == (9, 1_000, 0)
    assert CompletionCounter(folder).count() == 0


def test_an_empty_row_of_a_killed_thread_does_not_hide_later_rows(folder: Path) -> None:
    """A row that was taken and not written is skipped."""
    execution.execute(1, DOUBLE, 1)
    ledger._segment[0]()
    execution.execute(2, DOUBLE, 2)
    assert [record.task_id for record in read_all(folder)] == [1, 2]


def test_a_watcher_counts_each_finish_of_its_tasks_once(folder: Path) -> None:
    """A second count adds only new rows, and tasks of earlier phases are not counted."""
    watcher = CompletionCounter(folder, range(10, 100))
    for i in range(20):
        execution.execute(i, DOUBLE, i)
        assert watcher.count() == max(0, i - 9)
    words, row = ledger.begin(50, 0, 1)
    assert watcher.count() == 10
    ledger.finish(words, row, 2, 0)
    assert watcher.count() == watcher.count() == 11


def test_a_watcher_reads_the_ledger_seldom(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read takes CPU time from a backend in the same process: at most twenty per second."""
    reads = 0

    def count(
        watcher: CompletionCounter,
        original: Callable[[CompletionCounter], int] = CompletionCounter.count,
    ) -> int:
        nonlocal reads
        reads += 1
        return original(watcher)

    monkeypatch.setattr(CompletionCounter, "count", count)
    watcher = CompletionCounter(folder)
    assert not watcher.reaches(1, 0.2)
    assert reads <= 6
    execution.execute(1, DOUBLE, 1)
    assert watcher.reaches(1, 0.0)
    assert not watcher.reaches(2, 0.0)


def test_a_watcher_waits_for_the_tasks_that_have_started(folder: Path) -> None:
    """A task that never ends is awaited no longer than the limit."""
    watcher = CompletionCounter(folder, range(10, 100))
    ledger.begin(1, 0, 1)
    assert watcher.settles(0.0)
    words, row = ledger.begin(50, 0, 1)
    assert not watcher.settles(0.1)
    ledger.finish(words, row, 2, 0)
    assert watcher.settles(0.0)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """The file is a ledger of the other byte order."""
    path = tmp_path / "x.bin"
    path.write_bytes(ledger.MAGIC.to_bytes(8, "big" if sys.byteorder == "little" else "little") * 8)
    with pytest.raises(ValueError, match=r"x\.bin is not a ledger"):
        executions(path)


def test_the_journal_has_tasks_whose_submit_call_did_not_return(tmp_path: Path) -> None:
    """Such a task is unknown: neither accepted nor refused."""
    journal = ledger.Journal(str(tmp_path / "intents.bin"), 3)
    first, second = journal.plan([5, 6], 2, [100, 200])
    for word, value in ((ledger.T1, 110), (ledger.T2, 120), (ledger.T5, 130), (ledger.ACK, 1)):
        journal.words[first + word] = value
    journal.words[second + ledger.T1] = 210
    journal.plan([7], 2, [300])
    _, rows = intents(tmp_path / "intents.bin")
    assert [tuple(row)[:7] for row in rows] == [
        (5, 2, 100, 110, 120, 130, 1),
        (6, 2, 200, 210, 0, 0, 0),
        (7, 2, 300, 0, 0, 0, 0),
    ]


SMALL_DISK = """
import resource, signal, sys
from lab.worker import ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))
try:
    ledger.create(sys.argv[1], 0, 0, ledger.FIRST_ROWS)
except OSError as error:
    sys.exit(f"raised: {error.strerror}")
"""


def test_a_full_disk_is_an_error_and_not_a_bus_error(tmp_path: Path) -> None:
    """The file is allocated when it is created, so a full disk raises an exception."""
    child = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(tmp_path / "x.bin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr.strip()) == (1, "raised: No space left on device")


def test_a_file_without_a_header_is_empty(tmp_path: Path) -> None:
    """A process that is killed before it writes the header leaves no records; reading succeeds."""
    (tmp_path / "none.bin").touch()
    (tmp_path / "zeros.bin").write_bytes(bytes(128))
    assert read_all(tmp_path) == []
