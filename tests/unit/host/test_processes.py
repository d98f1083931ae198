"""Tests that the lab's processes are pinned, measured, identified by labels, and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.host import process_marks, processes
from tests.unit.cli.test_main import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# A child that leaves its session and its group, as work-horses of task queues do.
ESCAPING = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
time.sleep(60)
"""
BURN = """
import time
while time.process_time() < 0.3:
    pass
print("done", flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("deaf", flush=True)
time.sleep(60)
"""

# Only the resource tracker knows the names of shared semaphores.
SHARING = """
import multiprocessing, time
shared = multiprocessing.get_context("spawn").Semaphore()
print(shared._semlock.name, flush=True)
time.sleep(60)
"""


def start(tmp_path: Path, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
    """Start a process with labels."""
    return processes.start(argv, (), environment, tmp_path / "log")


def test_a_started_process_runs_on_its_cpus_only(tmp_path: Path) -> None:
    """The child has the affinity from its first instruction; that of this process is unchanged."""
    before = os.sched_getaffinity(0)
    cpu = min(before)
    show = "import os; print(sorted(os.sched_getaffinity(0)))"
    child = processes.start([sys.executable, "-c", show], (cpu,), {}, tmp_path / "log")
    child.wait()
    assert (tmp_path / "log").read_text().strip() == f"[{cpu}]"
    assert os.sched_getaffinity(0) == before


def test_detached_children_are_killed_by_their_label(tmp_path: Path) -> None:
    """A process that has left its session and group still has its label."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-1"}
    child = start(tmp_path, [sys.executable, "-c", ESCAPING], **labels)
    while len(processes.tree(child.pid)) < 2:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert processes.reap_trial("t-1") == 1
    assert processes.reap_trial("t-1") == 0


# A child without labels, in another session, whose parent has ended: it has only the mark.
UNLABELLED = """
import os, subprocess
if os.fork() == 0:
    subprocess.Popen(["/bin/sleep", "321"], env={}, start_new_session=True)
"""


def sleepers() -> list[psutil.Process]:
    """Return the remaining processes of `UNLABELLED`."""
    mark = process_marks.of_trial("t-3")
    return [
        p for p in psutil.process_iter() if process_marks.read(p) == mark and p.name() == "sleep"
    ]


def test_a_child_without_labels_is_killed_by_its_mark(tmp_path: Path) -> None:
    """It has an empty environment, another session and no parent; only its trial kills it."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-3"}
    assert start(tmp_path, [sys.executable, "-c", UNLABELLED], **labels).wait() == 0
    until(sleepers)
    (orphan,) = sleepers()
    assert orphan.environ() == {}
    assert processes.reap_trial("t-4") == 0
    assert processes.reap_orphans() == 0
    assert processes.reap_trial("t-3") == 1
    assert not processes.is_running(orphan)


def test_a_mark_names_its_lab_and_changes_nothing_of_this_process() -> None:
    """A mark of an ended lab is recognised, also if another process has its process id."""
    assert process_marks.read(psutil.Process()) == 0
    mark = process_marks.of_trial("t-5")
    with process_marks.marking(mark):
        child = subprocess.Popen(SLEEP)
    assert process_marks.read(psutil.Process(child.pid)) == mark
    assert process_marks.read(psutil.Process()) == 0
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert processes.labelled(lambda _: False, mark.__eq__) == []  # although it has its mark
    child.wait()
    assert not process_marks.is_of_dead_lab(mark)
    assert not process_marks.is_of_dead_lab(0)
    reused = mark ^ (1 << 16)  # the same process id with another start time
    assert process_marks.is_of_dead_lab(reused)


def test_a_process_that_is_about_to_end_is_not_killed(tmp_path: Path) -> None:
    """It may still remove shared memory, as resource trackers do."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-2"}
    child = start(tmp_path, [sys.executable, "-c", "import time; time.sleep(0.1)"], **labels)
    assert processes.reap_trial("t-2") == 0
    assert child.wait() == 0


def test_a_zombie_counts_as_ended(tmp_path: Path) -> None:
    """Its parent may take seconds to wait for it; the lab does not wait for the parent."""
    child = start(tmp_path, SLEEP)
    begin = time.monotonic()
    assert processes.kill([psutil.Process(child.pid)]) == 1
    assert time.monotonic() - begin < processes.STOP_S
    assert child.returncode is None  # a zombie until now
    assert child.wait() == -9


@pytest.mark.alone  # other tests kill orphans as well
def test_only_processes_of_dead_labs_are_killed(tmp_path: Path) -> None:
    """Processes of a running lab, and those of another boot or namespace, remain."""
    here = processes.realm()
    alive = start(tmp_path, SLEEP, LAB_OWNER=processes.owner())
    dead = start(tmp_path, SLEEP, LAB_OWNER=f"{here}:999999999:1.00")
    reused = start(tmp_path, SLEEP, LAB_OWNER=f"{here}:{os.getpid()}:1.00")
    foreign = start(tmp_path, SLEEP, LAB_OWNER="another/1:999999999:1.00")
    assert processes.reap_orphans() == 2
    assert [child.poll() for child in (alive, dead, reused, foreign)] == [None, -9, -9, None]
    processes.stop(foreign, alive)
    assert (foreign.poll(), alive.poll()) == (-15, -15)


def test_cpu_time_includes_ended_children(tmp_path: Path) -> None:
    """The time of a running process is its own; after its end it is part of its parent's."""
    child = start(tmp_path, [sys.executable, "-c", BURN])
    while "done" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    used = processes.cpu_ns([child.pid])
    assert 0.3e9 <= used < 1.0e9
    before = processes.cpu_ns([os.getpid()])  # ended children are counted in ticks of 10 ms
    processes.stop(child)
    assert processes.cpu_ns([os.getpid()]) - before >= 0.25e9
    assert processes.cpu_ns([child.pid]) == 0


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """SIGKILL follows SIGTERM, for its children as well."""
    child = start(tmp_path, [sys.executable, "-c", STUBBORN])
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    family = processes.tree(child.pid)
    processes.stop(child, grace_s=0.2)
    assert child.returncode == -9
    assert len(family) == 2
    assert not any(processes.is_running(process) for process in family[1:])


def test_started_processes_are_killed_with_their_children(tmp_path: Path) -> None:
    """They get no SIGTERM, which would let them shut down first."""
    child = start(tmp_path, [sys.executable, "-c", STUBBORN])
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    family = processes.tree(child.pid)
    processes.kill_started(child)
    assert child.returncode == -9
    assert len(family) == 2
    assert not any(map(processes.is_running, family))


def test_shared_semaphores_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """The resource tracker, which removes them, has time to do so."""
    child = start(tmp_path, [sys.executable, "-c", SHARING])
    while not (name := (tmp_path / "log").read_text().strip()):
        time.sleep(0.01)
    shared = Path("/dev/shm", f"sem.{name.lstrip('/')}")  # noqa: S108 (where Linux shows them)
    assert shared.exists()
    assert processes.kill(processes.tree(child.pid)) == 2
    assert child.wait() == -9
    assert not shared.exists()


@pytest.fixture(scope="module")
def command() -> None:
    """Set a handler of SIGTERM, as a command in a fixture of a module does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.mark.usefixtures("command")
def test_a_test_has_the_default_handler_of_sigterm() -> None:
    """A forked child with a command's handler survived SIGTERM, and its pool waited for it."""
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
