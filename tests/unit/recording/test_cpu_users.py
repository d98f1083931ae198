"""Tests that the largest users of the CPUs are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.recording import cpu_users
from lab.recording.host_counters import CpuTimes, HostReading, read_host

SECOND = 1_000_000_000


def test_shares_are_of_the_watched_cpus() -> None:
    """Two seconds on CPUs 0 and 1: one idle, 0.2 stolen, 0.3 of this process, 2.5 of others."""
    cpus = {0: CpuTimes(10.0, 1.0), 1: CpuTimes(20.0, 1.0), 2: CpuTimes(0.0, 0.0)}
    before = HostReading(0, cpus, *[None] * 9)
    later = {0: CpuTimes(11.0, 1.2), 1: CpuTimes(20.0, 1.0), 2: CpuTimes(2.0, 0.0)}
    after = HostReading(2 * SECOND, later, *[None] * 9)
    assert cpu_users.shares(before, after, 0.3, (0, 1)) == pytest.approx((2.5 / 4, 0.2 / 4))
    assert cpu_users.shares(before, after, 0.3, (7,)) == (None, None)


def test_a_busy_process_is_named_with_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time counts as time of others; the machine of the tests may have larger users."""
    monkeypatch.setattr(cpu_users, "LISTED", 1_000)
    loop = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE) as hog:
        assert hog.stdout
        hog.stdout.readline()
        users = cpu_users.watch([*read_host().cpus])
        hog.kill()
    assert any(f"(pid {hog.pid})" in name for name in users.names)
    assert users.share is not None
    assert users.share > 0


def test_a_thread_that_changes_its_name_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernel workers do; otherwise the CPU time since their start would be that of a second."""
    readings = iter([{7: ("kworker/0", 500.0)}, {7: ("kworker/0-flush", 500.5)}])
    monkeypatch.setattr(cpu_users, "_used_s", lambda: next(readings))
    hosts = iter([HostReading(0, {}, *[None] * 9), HostReading(SECOND, {}, *[None] * 9)])
    monkeypatch.setattr(cpu_users, "read_host", lambda: next(hosts))
    assert cpu_users.watch([], 0.0).names == ("kworker/0-flush (pid 7) 50 %",)
