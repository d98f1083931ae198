"""Reads ledgers and journals: whole files after a trial, counts of finished tasks during it."""

from __future__ import annotations

import mmap
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lab.core import files
from lab.core.errors import ResultsError
from lab.worker.ledger import CANCELLED, LONGEST_ERROR, MAGIC, OK, RAISED, ROW_BYTES, WORDS

UNFINISHED = -1  # never written: a row without a count is unfinished
OUTCOMES = {UNFINISHED: "unfinished", OK: "ok", RAISED: "raised", CANCELLED: "cancelled"}
ERROR_NAME = re.compile(r"\d+-\d+-\d+-(\d+)-(\d+)\.error")
# A thread that is killed between taking a row and storing it leaves an empty row. No process of a
# trial has more threads than this, so more consecutive empty rows are the end of the file.
MAX_HOLE = 1_024
PART_BYTES = 16_384 * ROW_BYTES
# Short enough to see a queue build up, long enough for no measurable cost in the same process.
LOOK_S = 0.05


class Header(NamedTuple):
    """The process that wrote a file, and its time namespace."""

    magic: int
    pid: int
    node: int
    slot: int
    time_namespace: int
    rows: int
    imported_ns: int
    published: int


class Execution(NamedTuple):
    """One started execution; `finished_ns` is 0 until it finishes."""

    task_id: int
    thread: int
    started_ns: int
    finished_ns: int
    answer: int
    attempt: int
    outcome: int
    published: int


class Intent(NamedTuple):
    """One offered task; instants are 0 until they are recorded."""

    task_id: int
    phase: int
    t0_ns: int
    t1_ns: int
    t2_ns: int
    t5_ns: int
    acknowledged: int
    published: int


def read(path: Path) -> tuple[Header, Iterator[tuple[int, ...]]]:
    """Return a file's header and its rows in the order taken; unpublished rows have count 0.

    Raises:
        ValueError: The file is not a ledger of this byte order and version.
    """
    first = header(path)
    if any(first) and first.magic != MAGIC:
        raise ValueError(f"{path.name} is not a ledger file of this machine's byte order.")
    # An empty header: the writer was killed before the file was complete.
    return first, _filled(path) if first.magic == MAGIC else iter(())


def is_ledger(path: Path) -> bool:
    """Return whether a file is a worker's ledger, complete or cut short by a kill."""
    try:
        # Before anything is read: a sparse file of 40 GB in a foreign run was read once.
        if path.lstat().st_size > files.LIMITS[path.suffix]:
            return False
        first = header(path)
    except (ResultsError, OSError, KeyError):
        return False
    return not any(first) or first.magic == MAGIC


def header(path: Path) -> Header:
    """Return the header of a file, without reading its rows."""
    with files.opened(path, path.parent) as file:
        first = file.read(ROW_BYTES)
    # A writer that was killed while it created the file leaves less than a header.
    return Header(*memoryview(first.ljust(ROW_BYTES, b"\0")).cast("q"))


def executions(path: Path) -> tuple[Header, Iterator[Execution]]:
    """Read a worker's ledger; an execution that was killed before its end is unfinished."""
    header, rows = read(path)
    return header, map(_execution, rows)


def _execution(row: tuple[int, ...]) -> Execution:
    # An unpublished row may contain a part of its finish, and a damaged row any numbers.
    record = Execution._make(row)
    if record.published and record.outcome in (OK, RAISED, CANCELLED):
        return record
    return record._replace(finished_ns=0, answer=0, outcome=UNFINISHED)


def unfinished(folder: Path, task_ids: Iterable[int]) -> set[int]:
    """Return the ids of those tasks that have no finished execution."""
    records = (record for path in folder.glob("*.bin") for record in executions(path)[1])
    return {*task_ids} - {record.task_id for record in records if record.published}


class TaskError(NamedTuple):
    """An exception that a worker recorded; the first line of `path` is its type and message."""

    raised_ns: int
    task_id: int
    path: Path

    @property
    def summary(self) -> str:
        """Type and message of the exception."""
        with self.path.open("rb") as file:
            return file.readline(LONGEST_ERROR).decode(errors="replace").strip()


def task_errors(folder: Path) -> list[TaskError]:
    """List the exceptions in a trial's ledger folder, in the order of their instants.

    A worker process writes only a few. Links, and files above `LONGEST_ERROR` bytes, are ignored.
    """
    errors = []
    for path in folder.glob("*.error"):
        match = ERROR_NAME.fullmatch(path.name)
        is_file = not path.is_symlink() and path.is_file()
        if match and is_file and path.stat().st_size <= LONGEST_ERROR:
            errors.append(TaskError(int(match[1]), int(match[2]), path))
    return sorted(errors)


def intents(path: Path) -> tuple[Header, Iterator[Intent]]:
    """Read the driver's journal."""
    header, rows = read(path)
    return header, map(Intent._make, rows)


def _filled(path: Path) -> Iterator[tuple[int, ...]]:
    """Yield the rows that are not empty, up to `MAX_HOLE` consecutive empty ones."""
    hole = 0
    with files.opened(path, path.parent) as file:
        file.seek(ROW_BYTES)
        while part := file.read(PART_BYTES):
            # A damaged file may end within a row, and a view of words needs whole words.
            words = memoryview(part[: len(part) // ROW_BYTES * ROW_BYTES]).cast("q")
            for row in range(0, len(words), WORDS):
                hole = 0 if words[row + 2] else hole + 1
                if hole > MAX_HOLE:
                    return
                if not hole:
                    yield tuple(words[row : row + WORDS])


class Writer(NamedTuple):
    """A process that executed tasks, and the tasks that it had not finished at the last count.

    `created_ns`: it began to write the file, ns of CLOCK_MONOTONIC.
    """

    node: int
    slot: int
    pid: int
    unfinished: tuple[int, ...]
    created_ns: int


class Completions(ABC):
    """Counts finished executions of some tasks during a trial; it makes no call to the backend.

    Attributes:
        is_current: Whether the last count was of all workers, at one instant.
    """

    is_current = True

    @abstractmethod
    def count(self) -> int:
        """Return how many executions have finished so far."""

    @abstractmethod
    def running(self) -> int:
        """Return how many executions had started and not finished at the last `count`."""

    def reaches(self, n: int, within_s: float) -> bool:
        """Wait until `n` executions have finished, and return whether they have in time.

        Each count takes the interpreter from a backend in this process: ten times as many counts
        cost asyncio.to_thread a sixth of its rate on two cores. A longer interval loses no
        precision, because finish times come from the records.
        """
        deadline = time.monotonic() + within_s
        while self.count() < n:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def settles(self, within_s: float) -> bool:
        """Wait until no task that has started is unfinished, and return whether none is in time."""
        deadline = time.monotonic() + within_s
        self.count()
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
            self.count()
        return True


class CompletionCounter(Completions):
    """Counts finished executions of `tasks` in memory that this process shares with the workers."""

    def __init__(self, folder: Path, tasks: range = range(2**63)) -> None:
        self.folder, self._tasks = folder, tasks
        self._rows: dict[str, tuple[memoryview, int, list[int]]] = {}
        self.finished = 0

    def count(self) -> int:
        """Read the new rows and those that were unfinished, and return the count so far."""
        with os.scandir(self.folder) as entries:
            for entry in entries:
                is_new = entry.name not in self._rows and entry.name.endswith(".bin")
                # Tasks can write into this folder, and a link could lead out of the run.
                if is_new and entry.is_file(follow_symlinks=False):
                    self._open(entry.name, entry.stat(follow_symlinks=False).st_size)
        for name, (words, row, running) in self._rows.items():
            self._rows[name] = (words, *self._advance(words, row, running))
        return self.finished

    def writers(self) -> Iterator[Writer]:
        """Yield the process of each file, with its unfinished tasks at the last `count`."""
        for name, (words, _, running) in self._rows.items():
            tasks = tuple(words[row] for row in running if words[row] in self._tasks)
            created_ns = int(Path(name).stem.rpartition("-")[2])
            yield Writer(words[2], words[3], words[1], tasks, created_ns)

    def running(self) -> int:
        """Return how many executions had started and not finished at the last `count`."""
        return sum(len(writer.unfinished) for writer in self.writers())

    def _open(self, name: str, size: int) -> None:
        if size < ROW_BYTES or size % ROW_BYTES:  # incomplete, or not a ledger
            return
        with files.opened(self.folder / name, self.folder) as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        words = memoryview(mapped).cast("q")
        # The writer stores the magic last: without it the header is not complete.
        if words[0] == MAGIC:
            self._rows[name] = (words, WORDS, [])

    def _advance(self, words: memoryview, row: int, running: list[int]) -> tuple[int, list[int]]:
        # Tasks end in any order: rows that were passed unfinished are read again each time.
        candidates = running
        end = len(words)
        # A writer stores the start after the id, so a row with a start has its id too.
        while row < end and words[row + 2]:
            candidates.append(row)
            row += WORDS
        still_running = []
        for candidate in candidates:
            # The count is stored last of all, so a row with a count is complete (METHOD M15).
            if words[candidate + 7]:
                self.finished += words[candidate] in self._tasks
            else:
                still_running.append(candidate)
        return row, still_running
