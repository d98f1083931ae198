"""Fakes the wall clock of processes by libfaketime; their monotonic clock stays true.

A process that is started with `variables` adds to its wall clock the seconds in a file, which it
reads at each reading of the clock; see `lab.worker.clock_file`.
"""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import psutil

from lab.core.errors import ClusterError
from lab.host import processes
from lab.worker.clock_file import FAKED

PACKAGE = LIBRARY = "libfaketime"
# The library creates a semaphore and a shared memory there for each process, named by its id, and
# a process that is killed leaves them behind.
SHARED = Path("/dev/shm")  # noqa: S108 (only files that libfaketime names are removed)
SHARED_FILES = "*faketime_s[eh]m_[0-9]*"
# A probe reads the faked clock and the true one at two instants.
TOLERANCE_S = 0.1


def library() -> Path | None:
    """Return the path of the library; None if its package is not installed.

    It is that of the wheel: Debian's 0.9.10 lets `time.sleep` fail if the monotonic clock is true
    (libfaketime issue 426).
    """
    with contextlib.suppress(PackageNotFoundError):
        for file in files(PACKAGE) or ():
            if file.match(f"{LIBRARY}.so.*"):
                return Path(str(file.locate()))
    return None


def variables(library: str, file: str) -> dict[str, str]:
    """Return the environment of a process whose wall clock follows `file`."""
    return {
        "LD_PRELOAD": library,
        FAKED: file,
        # With a cache of 1 s, a reading takes 0.3 us instead of 7.5 us, but a step is 1.3 to 1.9 s
        # late: too late for a fault of 5 s, whose instant the lab records.
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def proof(step_s: float, offsets_ns: str | bytes, n_processes: int) -> str:
    """Return the proof of a step.

    Args:
        step_s: The step.
        offsets_ns: The output of ``python -m lab.host.wall_clock`` with the environment of the
            target.
        n_processes: The number of the target's processes that have loaded the library.

    Raises:
        ClusterError: The target does not read this clock.
    """
    wall_s, monotonic_s = (offset / 1e9 for offset in json.loads(offsets_ns))
    read = f"wall clock {wall_s:+.3f} s, monotonic clock {monotonic_s:+.3f} s"
    if abs(wall_s - step_s) > TOLERANCE_S or abs(monotonic_s) > TOLERANCE_S:
        raise ClusterError(f"A process with the environment of the target reads {read}.")
    if not n_processes:
        raise ClusterError(f"No process of the target has loaded {LIBRARY}.")
    return f"{read}; {n_processes} processes with {LIBRARY}"


def is_faked(pid: int) -> bool:
    """Return whether a process has loaded the library."""
    try:
        return LIBRARY in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended, or belongs to another user
        return False


def _has_ended(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return not processes.is_running(psutil.Process(pid))
    return True


def remove_dead() -> int:
    """Remove the shared memory of faked processes that have ended, and return the number."""
    removed = 0
    for path in SHARED.glob(SHARED_FILES):
        if _has_ended(int(path.name.rpartition("_")[2])):
            with contextlib.suppress(OSError):  # another user's
                path.unlink()
                removed += 1
    return removed
