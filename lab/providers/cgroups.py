"""Reads the resource use of a container: its control group, version 1 or 2, and network counters.

If the engine is on this machine, the files are read on the host, and nothing extra runs inside the
container. If the engine is on another machine, a shell in the container reads them on demand. The
value of a missing file is None, never 0.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from lab.host.procfs import text_of
from lab.providers.container_process import ContainerProcess

ROOT = Path("/")
NET = "net/dev"
MEMORY = ("memory_bytes", "working_set_bytes", "anonymous_bytes")
QUOTA = ("quota_periods", "throttled_periods", "throttled_ns")
# Name of a fact -> its controller ("" for the unified hierarchy of version 2) and its file.
FILES = {
    "cpu_v1": ("cpuacct", "cpuacct.usage"),
    "cpu": ("cpu", "cpu.stat"),
    "memory_v1": ("memory", "memory.usage_in_bytes"),
    "memory": ("", "memory.current"),
    "memory_stat": ("memory", "memory.stat"),
}
Texts = Mapping[str, str]


class Use(NamedTuple):
    """The use of one container: totals since it started, and its present memory."""

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
        """Yield name, value and unit of each known counter; times are in seconds instead of ns.

        Without a quota nothing is throttled, and the throttling counters are left out.
        """
        for name, value in self._asdict().items():
            if value is not None and (self.quota_periods or name not in QUOTA):
                stem, _, unit = name.rpartition("_")
                if unit == "ns":
                    yield f"{stem}_s", value / 1e9, "s"
                else:
                    yield name, float(value), "bytes" if unit == "bytes" else "periods"


def parse(texts: Texts) -> Use:
    """Parse the texts of the files into one `Use`.

    The working set is the memory in use without inactive file pages, which the kernel can drop at
    once (Documentation/admin-guide/cgroup-v1/memory.txt, cgroup-v2.rst). Memory of a tmpfs counts
    as cache, not as anonymous.
    """
    cpu, memory = _pairs(texts.get("cpu", "")), _pairs(texts.get("memory_stat", ""))
    used = _number(texts.get("memory") or texts.get("memory_v1"))
    # The `total_` values come first: in version 1, the others leave out child groups.
    inactive = _first(memory, "total_inactive_file", "inactive_file")
    received, sent = _network(texts.get("net", ""))
    stalled_us = cpu.get("throttled_usec")
    # Version 1 counts in ns, version 2 in us, each under names of its own.
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
    """Sum received and sent bytes over the interfaces of /proc/net/dev, without loopback."""
    rows = [line.split(":") for line in text.splitlines() if ":" in line]
    # Loopback traffic stays in the container, and counts as received and as sent.
    counts = [words.split() for name, words in rows if name.strip() != "lo"]
    if not rows:
        return None, None
    return sum(int(words[0]) for words in counts), sum(int(words[8]) for words in counts)


def host_files(pid: int, container: str, root: Path = ROOT) -> dict[str, Path] | None:
    """Return the path of each fact of a container; None if the engine is on another machine.

    `pid` is the container's main process. A local process may have that number by chance, so only
    control groups whose path contains the container's id count.
    """
    mount = root / "sys/fs/cgroup"
    paths: dict[str, Path] = {"net": root / "proc" / str(pid) / NET}
    with contextlib.suppress(OSError):
        for line in (root / f"proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if container not in group:
                continue
            for fact, (controller, name) in FILES.items():
                here = mount / controller / group.lstrip("/") / name
                if controller in controllers.split(",") and controller:
                    paths[fact] = here
                # A machine with both versions lists version 2 without its controllers and files.
                elif not controllers and (path := mount / group.lstrip("/") / name).exists():
                    paths[fact] = path
    return paths if len(paths) > 1 else None


def from_host(files: Mapping[str, Path]) -> Texts:
    """Read the files that exist."""
    texts = {}
    for fact, path in files.items():
        with contextlib.suppress(OSError):
            texts[fact] = path.read_text()
    return texts


class CgroupShell:
    """A shell in the container that reads its control group once for each line of input."""

    def __init__(self, container: str, address: str = "") -> None:
        paths_of = {
            fact: [f"/sys/fs/cgroup/{part}{name}" for part in dict.fromkeys((f"{controller}/", ""))]
            for fact, (controller, name) in FILES.items()
        }
        paths_of["net"] = [f"/proc/{NET}"]
        reads = "; ".join(
            f"echo '== {fact}'; cat {' '.join(paths)} 2>/dev/null"
            for fact, paths in paths_of.items()
        )
        # One shell for the trial: a new program for each reading would take a tenth of a second.
        loop = f"while read x; do {reads}; echo .; done"
        # The sampler and the campaign may read at the same time.
        self._lock = threading.Lock()
        argv, log = ["sh", "-c", loop], Path(os.devnull)
        self._shell = ContainerProcess(container, argv, {}, log, address)

    def __call__(self) -> Texts:
        """Return the present text of each file."""
        texts: dict[str, str] = {}
        fact = ""
        # A container that has ended breaks the connection; the engine's events report its end.
        with self._lock, contextlib.suppress(ConnectionError):
            self._shell.stdin.write(b"read\n")
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
        """Stop the shell."""
        self._shell.stop()


class Meter:
    """Reads the use of one container and keeps the last value: an ended container has no files."""

    def __init__(self, container: str, pid: int, address: str = "") -> None:
        self._container, self._address = container, address
        self._earlier = self._last = parse({})
        self._open(pid)

    def _open(self, pid: int) -> None:
        files = host_files(pid, self._container)
        self._inside = None if files else CgroupShell(self._container, self._address)
        self._read: Callable[[], Texts] = self._inside or (lambda: from_host(files or {}))
        self.files = files

    def read(self) -> Use:
        """Return the present use, or the last known one if the container has ended."""
        if (use := parse(self._read())).cpu_ns is not None:
            self._last = _after(self._earlier, use)
        return self._last

    def restart(self, pid: int) -> None:
        """Read a container that was started again; its totals continue."""
        self.close()
        self._earlier = self._last
        self._open(pid)

    def close(self) -> None:
        """Stop the shell in the container, if there is one."""
        if self._inside:
            self._inside.close()


def _after(earlier: Use, use: Use) -> Use:
    """Add the totals of earlier runs of a container; its memory is that of the present run."""
    totals = {
        name: value + (getattr(earlier, name) or 0)
        for name, value in use._asdict().items()
        if value is not None and name not in MEMORY
    }
    return use._replace(**totals)


def pids_of(meter: Meter) -> list[int] | None:
    """List a container's processes by their pid on this machine; None if they run elsewhere."""
    if meter.files is None:
        return None
    cpu = next((meter.files[fact] for fact in ("cpu_v1", "cpu") if fact in meter.files), None)
    listed = cpu and text_of(cpu.parent / "cgroup.procs")
    return [int(line) for line in (listed or "").split()]


def driver_pid(pids: Iterable[int]) -> list[int]:
    """Return the driver's process among those of its container, or an empty list.

    Children of a pool have the same command line; the oldest process is their parent.
    """
    drivers = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if "lab.driver" in process.cmdline():
                drivers.append((process.create_time(), pid))
    return [min(drivers)[1]] if drivers else []
