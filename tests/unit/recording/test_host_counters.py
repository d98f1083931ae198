"""Tests that each counter of the machine is read from its file, once a second."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest

from lab.core.provider import CounterReading
from lab.recording import host_counters
from lab.recording.host_counters import CpuTimes, HostReading, Sampler, read_host

PROC = {
    "proc/stat": "cpu  10 1 5 900 40 0 2 30 7 0\ncpu0 5 0 3 450 20 0 1 15 3 0\n"
    "cpu3 5 1 2 450 20 0 1 15 4 0\nintr 5 0\nctxt 1234\nprocs_running 2\n",
    "proc/vmstat": "pswpin 17\npswpout 3\noom_kill 2\n",
    "proc/loadavg": "0.10 0.20 0.30 3/99 4711\n",
    "proc/pressure/cpu": "some avg10=1.00 avg60=0 avg300=0 total=11\nfull avg10=0 total=12\n",
    "proc/pressure/memory": "some avg10=1.00 avg60=0 avg300=0 total=21\nfull avg10=0 total=22\n",
    "proc/pressure/io": "some avg10=1.00 avg60=0 avg300=0 total=31\nfull avg10=0 total=32\n",
    "proc/self/cgroup": "0::/ours\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu\n",
    "sys/fs/cgroup/ours/cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 4\n",
}


def test_each_counter_is_read_from_its_file(tmp_path: Path) -> None:
    """The fields of /proc/stat, the totals of PSI and the others are in the right columns."""
    for name, text in PROC.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    times = CpuTimes(470 * host_counters.TICK_S, 15 * host_counters.TICK_S)
    expected = HostReading(0, {0: times, 3: times}, 11, 22, 31, 3, 1234, 17, 2, 40, 4)
    assert replace(read_host(tmp_path), t_ns=0) == expected


def test_missing_files_are_nulls(tmp_path: Path) -> None:
    """On a machine without /proc, no CPU is known, and every counter is None."""
    reading = read_host(tmp_path)
    assert reading.cpus == {}
    assert {getattr(reading, f.name) for f in fields(reading)[2:]} == {None}
    assert reading.t_ns > 0


def test_calibration_takes_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interruptions of some repeats do not change the result."""
    assert host_counters.calibrate() > 0
    times = iter([14, 11, 90, 10, *[12] * host_counters.CALIBRATION_REPEATS])
    monkeypatch.setattr(host_counters, "_time_of_loop", lambda: next(times))
    # That of the loop is scaled to the steps for which all runs state it.
    assert host_counters.calibrate() == 100


def test_the_sampler_samples_until_it_is_stopped() -> None:
    """Host counters, roles and the cost of the sampler are read from start to stop, not after."""
    calls = threading.Semaphore(0)

    def roles() -> list[CounterReading]:
        calls.release()
        used = {"driver": 1.5, "workers": 2.5}
        return [CounterReading(role, "cpu_s", seconds, "s") for role, seconds in used.items()]

    with Sampler(roles, period_s=0.001) as sampler:
        for _ in range(3):
            assert calls.acquire(timeout=10)
    samples = sampler.stop()
    assert [t.name for t in threading.enumerate() if t.name == "sampler"] == []
    assert samples is sampler.stop()
    at_ns = sorted({sample.t_ns for sample in samples})
    assert len(at_ns) >= 3
    last = {(s.source, s.metric): s for s in samples if s.t_ns == at_ns[-1]}
    assert last["driver", "cpu_s"].value == 1.5
    assert last["workers", "cpu_s"].unit == "s"
    assert last["host", "sampler_cpu_s"].value > 0
    assert ("host", "switches") in last
    assert {source for source, name in last if name == "idle_s"} == {
        f"cpu{number}" for number in read_host().cpus
    }
    assert len({(s.t_ns, s.source, s.metric) for s in samples}) == len(samples)


def test_an_error_in_the_sampler_is_raised_by_stop() -> None:
    """The error of the thread is not lost."""

    def broken() -> list[CounterReading]:
        raise RuntimeError("the roles are gone")

    sampler = Sampler(broken)
    sampler.start()
    with pytest.raises(RuntimeError, match="the roles are gone"):
        sampler.stop()


def test_a_sampler_that_never_started_has_no_samples() -> None:
    """A trial that fails before its window may stop a sampler that has not started."""
    assert Sampler(list).stop() == []
