"""A mark that all descendants of a process carry, also those that drop labels and leave sessions.

A task may give its child an empty environment and a session of its own, and end before it. Resource
limits pass on through all of that, and one has no effect on ordinary processes: RLIMIT_RTTIME, the
microseconds that a process of real-time priority may compute without a pause, without limit by
default. As soft limit it holds a number of 61 bits here, thousands of years long, that names the
lab process and the trial. It needs no privilege, and can be read while the lab lives and after.

Not found are processes of another user or of another namespace of process ids, those that set this
limit themselves, and what a daemon of the machine (cron, systemd, a container engine) starts.
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
_PID_BITS = _START_BITS = 22
_TRIAL_BITS = 16
# The limit is the whole process's, and threads of a test start clusters side by side.
_lock = threading.Lock()


def of_trial(trial: str) -> int:
    """Return the mark of a trial of this lab process."""
    name = zlib.crc32(trial.encode()) % (1 << _TRIAL_BITS)
    return _of_process(os.getpid()) | name


def _of_process(pid: int) -> int:
    start = _start_ticks(pid) % (1 << _START_BITS)
    return _OURS | ((pid << _START_BITS) | start) << _TRIAL_BITS


def _start_ticks(pid: int) -> int:
    """Return when a process started, in the kernel's ticks since boot; 0 if it has ended."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        state, *fields = status.rpartition(")")[2].split()  # the name before may hold anything
        return 0 if state in "ZX" else int(fields[18])
    return 0


@contextlib.contextmanager
def marking(mark: int) -> Iterator[None]:
    """Let processes started inside inherit a mark, from their first instruction on."""
    if LIMIT is None:
        yield
        return
    with _lock:
        before = resource.getrlimit(LIMIT)
        with contextlib.suppress(ValueError, OSError):  # a hard limit below: unmarked
            resource.setrlimit(LIMIT, (mark, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(LIMIT, before)


def read(process: psutil.Process) -> int:
    """Return the mark of a process of this namespace; 0 where it has none that can be read."""
    if LIMIT is None:
        return 0
    try:
        mark, _ = resource.prlimit(process.pid, LIMIT)
        is_marked = mark > 0 and mark >> 60 == 1 and _namespace(process.pid) == _namespace("self")
    except OSError:  # it has ended, or is another user's
        return 0
    return mark if is_marked else 0


def _namespace(pid: int | str) -> int:
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


def lab_of(mark: int) -> int:
    """Return the process id of the lab that made a mark; 0 for no mark."""
    return (mark >> (_TRIAL_BITS + _START_BITS)) % (1 << _PID_BITS)


def is_of_dead_lab(mark: int) -> bool:
    """Tell whether the lab that made a mark has ended; no mark is no lab's."""
    return mark != 0 and _of_process(lab_of(mark)) >> _TRIAL_BITS != mark >> _TRIAL_BITS
