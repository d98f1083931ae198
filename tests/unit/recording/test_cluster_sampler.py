"""Tests memory and wake-ups of processes against known answers (the checks of METHOD M25)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.recording import cluster_sampler

MB = 1_000_000
# Each program prints a line when it has started, and does its next step for each input line.
TOUCH = """
import sys
print(flush=True); input()
held = bytearray(b"x") * 50_000_000
print(flush=True); input()
"""
READ = """
import sys
print(flush=True); input()
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.read(1 << 16): pass
print(flush=True); input()
"""
FORKED = """
import os, sys
held = bytearray(b"x") * 40_000_000
out, into = os.pipe()
for _ in range(3):
    if not os.fork():
        os.write(into, b".")
        sys.stdin.buffer.raw.read()
        os._exit(0)
for _ in range(3): os.read(out, 1)
print(flush=True); sys.stdin.buffer.raw.read()
"""
SLEEP = """
import threading, time
def nap():
    for _ in range(100): time.sleep(0.002)
print(flush=True); input()
thread = threading.Thread(target=nap); thread.start()
print(flush=True); input()
thread.join(); nap()
print(flush=True); input()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program, and return when it is ready."""
    started: list[subprocess.Popen[str]] = []

    def program(text: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a program do its next step, and wait until it is done."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


def memory_of(*pids: int) -> dict[str, float]:
    """Return the memory metrics of these processes."""
    return {metric: value for _, metric, value, _ in cluster_sampler.memory({"workers": pids})}


def test_touched_memory_is_counted(start: Start) -> None:
    """A worker that touches 50 MB raises PSS, and its anonymous part, by 50 MB +- 5 %."""
    process = start(TOUCH)
    before = memory_of(process.pid)
    go_on(process)
    after = memory_of(process.pid)
    for metric in ("pss_bytes", "anonymous_bytes"):
        assert after[metric] - before[metric] == pytest.approx(50 * MB, rel=0.05)


def test_page_cache_is_not_counted(start: Start, tmp_path: Path) -> None:
    """A worker that has read files of 50 MB has no more memory than before."""
    file = tmp_path / "file"
    file.write_bytes(bytes(50 * MB))
    process = start(READ, str(file))
    before = memory_of(process.pid)
    go_on(process)
    assert abs(memory_of(process.pid)["pss_bytes"] - before["pss_bytes"]) < MB


def test_shared_pages_of_forks_are_counted_once(start: Start) -> None:
    """For idle forked children, the sum of RSS exceeds that of PSS by the shared pages."""
    parent = psutil.Process(start(FORKED).pid)
    family = memory_of(parent.pid, *(child.pid for child in parent.children()))
    assert family["processes"] == 4
    assert 40 * MB < family["pss_bytes"] < 75 * MB
    assert family["rss_bytes"] - family["pss_bytes"] > 3 * 40 * MB


def test_a_role_with_an_unreadable_process_has_no_sums(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has ended counts as zero; an unreadable one omits the sums of its role."""
    process = start(TOUCH)
    alone = memory_of(process.pid)["pss_bytes"]
    process.kill()
    process.wait()
    assert memory_of(process.pid) == {"processes": 0}
    assert alone > MB
    monkeypatch.setattr(cluster_sampler, "PROC", tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text(
        "0-1 [rollup]\nRss: 8 kB\nPss: 4 kB\nPss_Anon: 2 kB\n"
    )
    assert memory_of(7) == {
        "processes": 1,
        "pss_bytes": 4_096,
        "anonymous_bytes": 2_048,
        "rss_bytes": 8_192,
    }
    (tmp_path / "8" / "smaps_rollup").mkdir(parents=True)  # cannot be read as a file
    assert memory_of(7, 8) == {"processes": 2}


def test_every_wakeup_is_counted_once(start: Start) -> None:
    """A hundred naps are a hundred wake-ups, also after their thread has ended."""
    process = start(SLEEP)
    wakeups = cluster_sampler.Wakeups()

    def count() -> float:
        ((role, metric, value, _),) = wakeups.count({"workers": [process.pid]})
        assert (role, metric) == ("workers", "wakeups")
        return value

    while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
        pass  # the program has printed its line, but may not be waiting yet
    time.sleep(0.01)  # the kernel counts just after it has changed the state
    assert count() == count() == 0
    go_on(process)  # a thread naps
    while any(thread.id != process.pid for thread in psutil.Process(process.pid).threads()):
        total = count()
    assert total > 50
    go_on(process)  # and now the main thread
    # The kernel does not count a nap that ends before its thread leaves the CPU.
    assert total + 90 <= count() < 300
