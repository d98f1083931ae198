"""Reads what a container uses from its control group, version 1 or 2, and its network counters.

Where the engine is on this machine, the files are read from the host: nothing runs inside the
container for it. Where it is elsewhere, a shell in the container reads its own group on demand.
A file that is missing is None, never 0.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from lab import processes, surroundings
from lab.engine import PROGRAM, starting
from lab.errors import ClusterError
from lab.procfs import text_of

ROOT = Path("/")
NET = "net/dev"
QUOTA = ("quota_periods", "throttled_periods", "throttled_ns")
# Name of a fact -> where version 1 and version 2 keep it, controller first.
FILES = {
    "cpu_v1": ("cpuacct", "cpuacct.usage"),
    "cpu": ("cpu", "cpu.stat"),
    "memory_v1": ("memory", "memory.usage_in_bytes"),
    "memory": ("", "memory.current"),
    "memory_stat": ("memory", "memory.stat"),
}
Texts = Mapping[str, str]


class Use(NamedTuple):
    """What one container has used since it began, and the memory it holds now."""

    cpu_ns: int | None
    quota_periods: int | None
    throttled_periods: int | None
    throttled_ns: int | None
    memory_bytes: int | None
    working_set_bytes: int | None
    anonymous_bytes: int | None
    received_bytes: int | None
    sent_bytes: int | None

    def counters(self) -> Iterator[tuple[str, float, str]]:
        """Yield name, value and unit of what is known, in seconds instead of ns.

        Without a quota nothing is throttled, and nothing is said of it.
        """
        for name, value in self._asdict().items():
            if value is not None and (self.quota_periods or name not in QUOTA):
                stem, _, unit = name.rpartition("_")
                if unit == "ns":
                    yield f"{stem}_s", value / 1e9, "s"
                else:
                    yield name, float(value), "bytes" if unit == "bytes" else "periods"


def parse(texts: Texts) -> Use:
    """Make sense of the files' texts; memory that tmpfs holds counts as cache, not as anonymous.

    The working set is what is used less the file pages that could be dropped at once, as in the
    kernel's accounting (Documentation/admin-guide/cgroup-v1/memory.txt, cgroup-v2.rst).
    """
    cpu, memory = _pairs(texts.get("cpu", "")), _pairs(texts.get("memory_stat", ""))
    used = _number(texts.get("memory") or texts.get("memory_v1"))
    inactive = _first(memory, "total_inactive_file", "inactive_file")
    received, sent = _network(texts.get("net", ""))
    stalled_us = cpu.get("throttled_usec")
    return Use(
        cpu_ns=_number(texts.get("cpu_v1")) or _thousand(cpu.get("usage_usec")),
        quota_periods=cpu.get("nr_periods"),
        throttled_periods=cpu.get("nr_throttled"),
        throttled_ns=cpu.get("throttled_time") if stalled_us is None else stalled_us * 1_000,
        memory_bytes=used,
        working_set_bytes=None if used is None or inactive is None else max(0, used - inactive),
        anonymous_bytes=_first(memory, "total_rss", "anon"),
        received_bytes=received,
        sent_bytes=sent,
    )


def _pairs(text: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}  # noqa: PLR2004


def _first(pairs: Mapping[str, int], *names: str) -> int | None:
    return next((pairs[name] for name in names if name in pairs), None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _thousand(us: int | None) -> int | None:
    return None if us is None else us * 1_000


def _network(text: str) -> tuple[int | None, int | None]:
    """Sum received and sent bytes over the interfaces of /proc/net/dev, loopback apart."""
    rows = [line.split(":") for line in text.splitlines() if ":" in line]
    counts = [words.split() for name, words in rows if name.strip() != "lo"]
    if not rows:
        return None, None
    return sum(int(words[0]) for words in counts), sum(int(words[8]) for words in counts)


def host_files(pid: int, container: str, root: Path = ROOT) -> dict[str, Path] | None:
    """Return where this machine keeps the facts of a container; None where it does not.

    A process of that number may exist here by chance while the engine is elsewhere: its groups
    must name the container.
    """
    mount = root / "sys/fs/cgroup"
    found: dict[str, Path] = {"net": root / "proc" / str(pid) / NET}
    with contextlib.suppress(OSError):
        for line in (root / f"proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if container not in group:
                continue
            for fact, (controller, name) in FILES.items():
                here = mount / controller / group.lstrip("/") / name
                if controller in controllers.split(",") and controller:
                    found[fact] = here
                elif not controllers and (path := mount / group.lstrip("/") / name).exists():
                    found[fact] = path
    return found if len(found) > 1 else None


def from_host(files: Mapping[str, Path]) -> Texts:
    """Read the files that are there."""
    texts = {}
    for fact, path in files.items():
        with contextlib.suppress(OSError):
            texts[fact] = path.read_text()
    return texts


class Inside:
    """A shell in the container that reads its own control group, once for each line it is sent."""

    def __init__(self, container: str) -> None:
        places = {
            fact: [f"/sys/fs/cgroup/{part}{name}" for part in dict.fromkeys((f"{controller}/", ""))]
            for fact, (controller, name) in FILES.items()
        }
        places["net"] = [f"/proc/{NET}"]
        looks = "; ".join(
            f"echo '== {fact}'; cat {' '.join(paths)} 2>/dev/null" for fact, paths in places.items()
        )
        loop = f"while read x; do {looks}; echo .; done"
        # The sampler and the campaign may ask at the same time.
        self._asking = threading.Lock()
        with starting():
            self._shell = subprocess.Popen(
                [PROGRAM, "exec", "-i", container, "sh", "-c", loop],
                env=surroundings.of_engine(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def __call__(self) -> Texts:
        """Read now."""
        if self._shell.stdin is None or self._shell.stdout is None:
            raise ClusterError("The reader of a container has no pipes.")
        texts: dict[str, str] = {}
        fact = ""
        # A container that has ended breaks the pipe; it tells that itself.
        with self._asking, contextlib.suppress(BrokenPipeError):
            self._shell.stdin.write(b"read\n")
            self._shell.stdin.flush()
            for line in iter(self._shell.stdout.readline, b""):
                text = line.decode()
                if text == ".\n":
                    break
                if text.startswith("== "):
                    fact = text[3:].strip()
                else:
                    texts[fact] = texts.get(fact, "") + text
        return texts

    def close(self) -> None:
        """End the shell."""
        processes.stop(self._shell, grace_s=1.0)


class Meter:
    """Reads one container; remembers the last use, for a container that has ended has no files."""

    def __init__(self, container: str, pid: int) -> None:
        files = host_files(pid, container)
        self._inside = None if files else Inside(container)
        self._read: Callable[[], Texts] = self._inside or (lambda: from_host(files or {}))
        self.files = files
        self._last = parse({})

    def read(self) -> Use:
        """Return the use as it is now, or as it was last seen."""
        if (use := parse(self._read())).cpu_ns is not None:
            self._last = use
        return self._last

    def close(self) -> None:
        """Release what reads."""
        if self._inside:
            self._inside.close()


def pids_of(meter: Meter) -> list[int] | None:
    """List a container's processes by this machine's numbers; None if they are elsewhere."""
    if meter.files is None:
        return None
    cpu = next((meter.files[fact] for fact in ("cpu_v1", "cpu") if fact in meter.files), None)
    listed = cpu and text_of(cpu.parent / "cgroup.procs")
    return [int(line) for line in (listed or "").split()]


def driver_pid(pids: Iterable[int]) -> list[int]:
    """Return the driver's own process among those of its container, or none.

    Children of a pool carry the same words; the first to be created is their parent.
    """
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if "lab.driver" in process.cmdline():
                found.append((process.create_time(), pid))
    return [min(found)[1]] if found else []
