"""Tests that only CPU time that others took from a trial counts, on the trial's own CPUs (M23)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.model import Topology
from lab.core.placement import Placement, place
from lab.core.provider import CpuUse
from lab.recording import cpu_waits
from lab.recording.cpu_waits import ThreadTimes
from lab.recording.host_counters import TICK_S, CpuTimes, HostReading, read_host
from lab.running.trial import EdgeReading
from lab.validation.contention import RoleUse, contention, cpus_of_trial, uses
from lab.validation.disturbance import disturbance, judge_disturbance

SECOND = 1_000_000_000
NOTHING = HostReading(0, {}, *[None] * 9)


def host(at_s: float, idle_s: Mapping[int, float]) -> HostReading:
    """Return a reading with these idle times, and no steal."""
    return replace(
        NOTHING, t_ns=int(at_s * SECOND), cpus={cpu: CpuTimes(s, 0.0) for cpu, s in idle_s.items()}
    )


def role(name: str, cpus: set[int], used_s: float, waited_s: float | None) -> RoleUse:
    """Return the use of a role, in seconds."""
    waited_ns = None if waited_s is None else int(waited_s * SECOND)
    return RoleUse(name, frozenset(cpus), int(used_s * SECOND), waited_ns)


IDLE = host(0, dict.fromkeys(range(8), 100.0))


def after(busy_s: Mapping[int, float]) -> HostReading:
    """Return the reading ten seconds after `IDLE`, with these busy times."""
    return host(10, {cpu: 110.0 - busy_s.get(cpu, 0.0) for cpu in range(8)})


def test_a_busy_cpu_that_the_trial_does_not_use_spoils_nothing() -> None:
    """A browser on CPU 7 disturbs no trial on the CPUs 0 to 3."""
    roles = [role("driver", {0}, 4.0, 0.1), role("workers", {1, 2, 3}, 20.0, 0.3)]
    seen = contention(IDLE, after({0: 4.0, 1: 10.0, 2: 5.0, 3: 5.0, 7: 10.0}), roles)
    assert (seen.other_cpu, seen.cpu_taken) == (0.0, 0.0)
    assert seen.cpu_wait == pytest.approx(0.4 / 40)


def test_a_busy_loop_on_the_workers_cpu_is_named_with_its_share() -> None:
    """It gets half of the CPU, which is half of the workers' CPU and a quarter of the trial's."""
    roles = [role("driver", {0}, 4.0, 0.1), role("workers", {1}, 5.0, 5.0)]
    seen = contention(IDLE, after({0: 4.0, 1: 10.0}), roles)
    assert (seen.cpu_taken, seen.roles) == (0.5, "workers")
    assert seen.other_cpu == 0.25


def test_others_that_use_a_cpu_while_the_trial_does_not_want_it_take_nothing() -> None:
    """The same busy loop beside a worker that sleeps: nothing of the trial waited for the CPU."""
    seen = contention(IDLE, after({1: 10.0}), [role("workers", {1}, 0.05, 0.02)])
    assert seen.other_cpu == pytest.approx(0.995)
    assert seen.cpu_taken == pytest.approx(0.002)


def test_workers_that_wait_for_each_other_are_not_disturbed() -> None:
    """Four busy threads on one CPU wait 30 s, while no other process runs."""
    seen = contention(IDLE, after({1: 10.0}), [role("workers", {1}, 10.0, 30.0)])
    assert (seen.other_cpu, seen.cpu_taken, seen.cpu_wait) == (0.0, 0.0, 3.0)


def test_roles_that_share_a_cpu_wait_for_each_other() -> None:
    """Driver and worker on one CPU are one group; so are roles that a third one connects."""
    roles = [
        role("driver", {0}, 3.0, 6.0),
        role("services", {1}, 3.0, 1.0),
        role("workers", {2}, 9.0, 0.0),
        role("lab", {0, 1}, 2.0, 0.0),
    ]
    seen = contention(IDLE, after({0: 6.0, 1: 6.0, 2: 9.5}), roles)
    assert (seen.cpu_taken, seen.roles) == (0.2, "driver and services")


def test_an_unknown_wait_counts_all_cpu_time_of_others() -> None:
    """Processes that ended took their waits with them, so the bound is the use by others."""
    seen = contention(IDLE, after({1: 10.0}), [role("workers", {1}, 8.5, None)])
    assert (seen.cpu_taken, seen.cpu_wait) == (0.15, None)


def test_without_counters_there_is_no_number() -> None:
    """On a machine without /proc nothing is known, and nothing is flagged."""
    seen = contention(NOTHING, NOTHING, [role("workers", {1}, 1.0, 0.0)])
    assert (seen.other_cpu, seen.cpu_wait, seen.cpu_taken) == (None, None, None)


@given(
    cpus=st.integers(1, 64),
    window_s=st.floats(0.1, 60),
    start_s=st.floats(0, 1e6),
    share=st.floats(0, 1),
)
def test_rounding_alone_never_raises_a_flag(
    cpus: int, window_s: float, start_s: float, share: float
) -> None:
    """A machine that runs only the lab is ok, whatever the position of the ticks at both ends."""

    def read(at_s: float, idle_s: float) -> HostReading:
        return host(at_s, dict.fromkeys(range(cpus), int(idle_s / TICK_S) * TICK_S))

    before, end = read(0, start_s), read(window_s, start_s + window_s * (1 - share))
    used = role("workers", {*range(cpus)}, cpus * window_s * share, None)
    seen = disturbance(before, end, contention(before, end, [used]), range(cpus))
    assert judge_disturbance(seen)[1] == ()


def test_threads_that_ended_make_a_wait_unknown() -> None:
    """Half of the CPU time was that of threads that are gone; a tenth is accepted."""
    before = {(1, 1): ThreadTimes(0, 0), (1, 2): ThreadTimes(5 * SECOND, SECOND)}
    end = {(1, 2): ThreadTimes(6 * SECOND, 3 * SECOND), (1, 3): ThreadTimes(SECOND, SECOND)}
    assert cpu_waits.waited_ns(before, end, 4 * SECOND) is None
    assert cpu_waits.waited_ns(before, end, int(2.2 * SECOND)) == 3 * SECOND
    assert cpu_waits.waited_ns({}, {}, 0) == 0


def test_times_of_threads_are_read_from_the_kernel(tmp_path: Path) -> None:
    """The second number of /proc/PID/task/TID/schedstat is the wait; missing files are left out."""
    for thread, text in (("7", "100 20 3\n"), ("8", "5 6 7\n"), ("9", "")):
        folder = tmp_path / "7/task" / thread
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(text)
    expected = {(7, 7): ThreadTimes(100, 20), (7, 8): ThreadTimes(5, 6)}
    assert cpu_waits.thread_times([7, 999], tmp_path) == expected


HOG = "print(flush=True)\nwhile True: pass"


def test_a_busy_loop_beside_a_busy_worker_takes_half_of_its_cpu() -> None:
    """KAT-13 on this machine: the flag is `disturbed`, and its reason names the workers' CPUs."""
    placement = place((0,), Topology(1, 1, 1), has_services=False, in_driver=False)
    commands = [["taskset", "-c", "0", sys.executable, "-c", HOG]] * 2
    worker, hog = (subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands)
    try:
        for process in (worker, hog):
            assert process.stdout
            process.stdout.readline()
        begin = _edge(worker.pid)
        time.sleep(1)
        end = _edge(worker.pid)
    finally:
        for process in (worker, hog):
            process.kill()
            process.communicate()
    seen = contention(begin.host, end.host, uses(placement, begin, end))
    assert seen.cpu_taken is not None
    assert seen.cpu_taken > 0.25
    disturbed = disturbance(begin.host, end.host, seen, cpus_of_trial(placement))
    flag, reasons = judge_disturbance(disturbed)
    assert flag == "disturbed"
    assert any("of the CPUs of the driver and workers" in reason for reason in reasons)


def _edge(worker: int) -> EdgeReading:
    threads = {"workers": cpu_waits.thread_times([worker])}
    times = psutil.Process(worker).cpu_times()
    used = CpuUse(0, 0, int((times.user + times.system) * SECOND))
    return EdgeReading(read_host(), used, 0, threads)


def test_cpus_of_other_machines_are_none_of_this_one() -> None:
    """Only the driver's are certainly here; a node's number may be that of any CPU."""
    placed = Placement((0,), (1,), ((2, 3),), (0,), "cpuset", dedicated=True)
    assert cpus_of_trial(placed) == {0, 1, 2, 3}
    assert cpus_of_trial(replace(placed, is_remote=True)) == {0}
