"""What processes hold and how often they wake, by the kernel, summed by role (METHOD M25).

PSS divides each page among the processes that map it, so its sum over a tree of forks counts what
they share once, where RSS counts it for each. Page cache that no process maps is in neither.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.host.procfs import text_of

PROC = Path("/proc")
Roles = Mapping[str, Sequence[int]]
"""Role (driver, services, workers) -> its process ids."""
Counter = tuple[str, str, float, str]  # source, metric, value, unit
# Name in smaps_rollup (kernel's Documentation/filesystems/proc.rst) -> ours.
FIELDS = {"Pss": "pss_bytes", "Pss_Anon": "anonymous_bytes", "Rss": "rss_bytes"}


def memory(roles: Roles) -> Iterator[Counter]:
    """Sum PSS, its anonymous part and RSS over the processes of each role, and count these.

    A role is left out of which one process may not be read: part of a sum is no sum. Reading
    takes the lock of the process's memory map, so it is done once a second and never while
    latencies are measured.
    """
    for role, pids in roles.items():
        texts = [text for pid in pids if (text := _rollup(pid)) != ""]
        yield role, "processes", float(len(texts)), "1"
        if texts and None not in texts:
            found = [_bytes_of(text or "") for text in texts]
            for name, metric in FIELDS.items():
                if all(name in one for one in found):
                    yield role, metric, float(sum(one[name] for one in found)), "bytes"


def _rollup(pid: int) -> str | None:
    """Read a process's sums; empty when it has ended, None when it may not be read."""
    try:
        return (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "" if not (PROC / str(pid)).exists() or _has_ended(pid) else None
    except OSError:
        return None


def _has_ended(pid: int) -> bool:
    # A zombie has no memory any more, and reading it fails.
    return "\nState:\tZ" in (text_of(PROC / str(pid) / "status") or "\nState:\tZ")


def _bytes_of(text: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


class Wakeups:
    """Counts how often the threads of each role have gone to sleep of their own accord.

    That is once for each time they woke. The kernel counts it for each thread, and forgets it with
    the thread: the last count of one that has ended is kept.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, int, int], int] = {}
        self._last: dict[tuple[str, int, int], int] = {}

    def count(self, roles: Roles) -> Iterator[Counter]:
        """Yield for each role the wake-ups since the first call, in all."""
        now = {
            (role, pid, thread): n
            for role, pids in roles.items()
            for pid in pids
            for thread, n in _switches(pid)
        }
        self._before = self._before or now
        self._last |= now
        for role in roles:
            own = {key: n for key, n in self._last.items() if key[0] == role}
            woken = sum(n - self._before.get(key, 0) for key, n in own.items())
            yield role, "wakeups", float(woken), "1"


def _switches(pid: int) -> Iterable[tuple[int, int]]:
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            for line in (text_of(thread / "status") or "").splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    yield int(thread.name), int(line.split()[1])
