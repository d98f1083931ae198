"""Marks a process so that all its descendants inherit the mark, and reads the marks of processes.

A task may start a child with an empty environment in a new session, and end before it. Resource
limits are inherited even then, and one of them has no effect on ordinary processes: RLIMIT_RTTIME,
the microseconds that a process of real-time priority may compute without a blocking call. By
default it is unlimited. The mark is its soft limit: a number of 61 bits, a duration of thousands of
years, that contains the lab's process id and the trial. It needs no privilege, and can be read
while the lab runs and after it has ended.

Some processes have no readable mark: those of other users or of other PID namespaces, those that
set this limit themselves, and those started by a daemon of the machine (cron, systemd, a container
engine).
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil

LIMIT = getattr(resource, "RLIMIT_RTTIME", None)  # Linux has it
_OURS = 1 << 60
# The largest process id of a 64-bit kernel is below 2**22. The start time distinguishes a later
# process that has the id of an ended lab.
_PID_BITS = _START_BITS = 22
_TRIAL_BITS = 16
# The limit belongs to the whole process, and threads of a test start clusters in parallel.
_lock = threading.Lock()


def of_trial(trial: str) -> int:
    """Return the mark of a trial of this lab process."""
    name = zlib.crc32(trial.encode()) % (1 << _TRIAL_BITS)
    return _of_process(os.getpid()) | name


def _of_process(pid: int) -> int:
    start = _start_ticks(pid) % (1 << _START_BITS)
    return _OURS | ((pid << _START_BITS) | start) << _TRIAL_BITS


def _start_ticks(pid: int) -> int:
    """Return the start time of a process in kernel ticks since boot; 0 if it has ended."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        state, *fields = status.rpartition(")")[2].split()  # the name before may contain any text
        return 0 if state in "ZX" else int(fields[18])
    return 0


@contextlib.contextmanager
def marking(mark: int) -> Iterator[None]:
    """Let processes that start in this block inherit a mark, from their first instruction on."""
    if LIMIT is None:
        yield
        return
    with _lock:
        before = resource.getrlimit(LIMIT)
        with contextlib.suppress(ValueError, OSError):  # the hard limit is lower: no mark
            # Only the soft limit: without privilege, a lower hard limit cannot be raised again.
            resource.setrlimit(LIMIT, (mark, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(LIMIT, before)


def read(process: psutil.Process) -> int:
    """Return the mark of a process of this namespace; 0 if it has none or it is not readable."""
    if LIMIT is None:
        return 0
    try:
        mark, _ = resource.prlimit(process.pid, LIMIT)
        is_marked = mark > 0 and mark >> 60 == 1 and _namespace(process.pid) == _namespace("self")
    except OSError:  # it has ended, or belongs to another user
        return 0
    return mark if is_marked else 0


def _namespace(pid: int | str) -> int:
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


def lab_of(mark: int) -> int:
    """Return the process id of the lab in a mark; 0 if there is no mark."""
    return (mark >> (_TRIAL_BITS + _START_BITS)) % (1 << _PID_BITS)


def is_of_dead_lab(mark: int) -> bool:
    """Return whether a mark belongs to a lab process that has ended; False if there is no mark."""
    return mark != 0 and _of_process(lab_of(mark)) >> _TRIAL_BITS != mark >> _TRIAL_BITS
