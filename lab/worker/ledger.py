"""Records the start and the end of every task in the worker, independently of the backend.

A file is a header and then rows of eight native 64-bit words in preallocated, memory-mapped
pages, so stored words survive SIGKILL. Each process writes its own files; its threads and
coroutines take rows from one atomic counter, so workers share no lock. A row is published by its
last word, the count, stored after all others by one aligned native 8-byte store, which a reader in
another process sees whole or not at all (`struct` formats with ``<`` write byte by byte, and torn
values were seen).

The provider sets three variables: ``LAB_LEDGER`` (the folder), ``LAB_NODE`` and ``LAB_SLOT``. This
module writes the ledger and runs in every worker: few imports, standard library only.
`lab.recording.ledger_reader` reads it.
"""

from __future__ import annotations

import itertools
import mmap
import os
from _thread import allocate_lock, get_ident  # those of `threading`, without importing it
from collections.abc import Callable, Iterable
from time import monotonic_ns

WORDS = 8
ROW_BYTES = WORDS * 8
# "BTLAB" and a version; read as a native word, so a file of the other byte order is rejected.
MAGIC = 0x42544C4142000001
# Small, because a backend that forks for each task creates a file for each task.
FIRST_ROWS = 1_024

OK, RAISED, CANCELLED = 0, 1, 2
# Words of the driver's journal: the result of the submit call.
ACCEPTED, ERROR = 1, 2
# Tasks from this id on are not recorded: see `lab.driver.uninstrumented`.
NO_RECORD = 50_000_000
# Replaces a checksum, which is never negative: the answer was not checked.
NO_ANSWER = -1
# Limits of the exceptions that one process writes beside its ledger: their number, the bytes of a
# file (its first line is type and message), and the frames of a traceback.
MOST_ERRORS, LONGEST_ERROR, DEEPEST = 3, 8_192, 20
# Positions of the words in a row of the journal.
T0, T1, T2, T5, ACK = 2, 3, 4, 5, 6

# The instant when this process, or its parent before the fork, imported the code that runs tasks.
IMPORTED_NS = monotonic_ns()
_growing = allocate_lock()
# The current file: a counter that returns the next row, and the words of the file. Empty at first,
# so that a process creates its file with its first task.
_Segment = tuple[Callable[[], int], memoryview]
_no_segment: _Segment = (lambda: 0, memoryview(bytearray()))
_segment = _no_segment
_raised = itertools.count()


def time_namespace() -> int:
    """Return the inode of this process's time namespace; 0 if the kernel has none."""
    try:
        return os.stat("/proc/self/ns/time").st_ino  # noqa: PTH116 (no pathlib in workers)
    except OSError:
        return 0


def create(path: str, node: int, slot: int, rows: int) -> memoryview:
    """Create a ledger file of `rows` empty rows and map it as native 64-bit words.

    The header row holds: magic, process id, node, slot, time namespace, rows, `IMPORTED_NS`, 1.

    Raises:
        OSError: The disk is full, or the file exists.
    """
    size = (rows + 1) * ROW_BYTES
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        # Written, not truncated to size: so a full disk raises here instead of SIGBUS later.
        if os.write(descriptor, bytes(size)) < size:
            raise OSError(28, os.strerror(28), path)
        words = memoryview(mmap.mmap(descriptor, size)).cast("q")
    finally:
        os.close(descriptor)
    header = (0, os.getpid(), node, slot, time_namespace(), rows, IMPORTED_NS, 1)
    for index, word in enumerate(header):
        words[index] = word
    words[0] = MAGIC  # last: a reader takes the file as complete once it sees this
    return words


def _shared(path: str) -> memoryview:
    """Map a file that another process has created as native 64-bit words."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return memoryview(mmap.mmap(descriptor, 0)).cast("q")
    finally:
        os.close(descriptor)


def begin(task_id: int, attempt: int, started_ns: int) -> tuple[memoryview, int]:
    """Record that a task started; return the words and the row for `finish`."""
    segment = _segment
    take, words = segment
    row = take()
    try:
        words[row] = task_id
    except IndexError:
        _follow(segment)
        return begin(task_id, attempt, started_ns)
    words[row + 1] = get_ident()
    if attempt:
        words[row + 5] = attempt
    words[row + 2] = started_ns
    return words, row


def finish(words: memoryview, row: int, finished_ns: int, answer: int) -> None:
    """Record that a task returned, and publish its row."""
    words[row + 3] = finished_ns
    words[row + 4] = answer
    words[row + 7] = row


def finish_failed(words: memoryview, row: int, finished_ns: int, outcome: int) -> None:
    """Record that a task raised or was cancelled, and publish its row."""
    words[row + 6] = outcome
    finish(words, row, finished_ns, 0)


def note_error(task_id: int, error: BaseException) -> None:
    """Write the exception of a task with its traceback, for the first few of a process.

    The name of the file contains node, slot, process id, instant and task id. If the file cannot be
    written, the row in the ledger still records that the task raised.
    """
    if next(_raised) >= MOST_ERRORS:
        return
    try:
        import traceback  # most workers never need it

        summary = "".join(traceback.format_exception_only(error))
        lines = "".join(traceback.format_exception(error, limit=-DEEPEST))
        head = " ".join(summary.split()).encode("utf-8", "backslashreplace")[: LONGEST_ERROR // 8]
        tail = lines.encode("utf-8", "backslashreplace")[-(LONGEST_ERROR - len(head) - 2) :]
        writer = f"{os.environ['LAB_NODE']}-{os.environ['LAB_SLOT']}-{os.getpid()}"
        path = f"{os.environ['LAB_LEDGER']}/{writer}-{monotonic_ns()}-{task_id}.error"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(descriptor, head + b"\n\n" + tail)
        finally:
            os.close(descriptor)
    except Exception:  # noqa: BLE001 (a full disk, or an exception whose methods raise)
        return


def _follow(full: _Segment) -> None:
    # A lock among the threads of this process is fine, because this is rare: each file is four
    # times as long as the one before it.
    global _segment  # noqa: PLW0603 (each process has one ledger)
    with _growing:
        if _segment is not full:
            return
        node, slot = int(os.environ["LAB_NODE"]), int(os.environ["LAB_SLOT"])
        # Process ids repeat in a trial that forks for each task; instants do not.
        name = f"{node}-{slot}-{os.getpid()}-{monotonic_ns()}.bin"
        rows = 4 * (len(full[1]) // WORDS - 1) if full[1] else FIRST_ROWS
        words = create(f"{os.environ['LAB_LEDGER']}/{name}", node, slot, rows)
        _segment = (itertools.count(WORDS, WORDS).__next__, words)


def _forget() -> None:
    # A forked child must not write into its parent's file, nor inherit a lock that a thread of the
    # parent holds.
    global _segment, _growing, _raised
    _segment, _growing, _raised = _no_segment, allocate_lock(), itertools.count()


os.register_at_fork(after_in_child=_forget)


class Journal:
    """Records the tasks that the driver offers: one row per task, in the order of the plan.

    Words: task id, phase, t0, t1, t2, t5, acknowledgement, count. A row is planned before its
    phase begins, so that only instants are stored in the window. t1 is stored before the submit
    call, so that a kill during the call leaves a row with t1 and without an acknowledgement.

    The first driver creates the journal with `rows` rows. Further drivers open it without `rows`,
    and store the instants of their own tasks.
    """

    def __init__(self, path: str, rows: int | None = None) -> None:
        self.words = _shared(path) if rows is None else create(path, -1, -1, rows)
        self._next = WORDS

    def plan(self, task_ids: Iterable[int], phase: int, instants_ns: Iterable[int]) -> range:
        """Write the tasks to be offered with their instants, and return the rows."""
        words, first = self.words, self._next
        for task_id, instant in zip(task_ids, instants_ns, strict=True):
            row = self._next
            words[row], words[row + 1], words[row + 2] = task_id, phase, instant
            words[row + 7] = row
            self._next += WORDS
        return range(first, self._next, WORDS)
