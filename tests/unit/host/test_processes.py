"""Processes of ours can be counted, pinned, found again by label, and ended without exception."""

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

# What processes share by name is on nobody's list but the tracker's.
SHARING = """
import multiprocessing, time
shared = multiprocessing.get_context("spawn").Semaphore()
print(shared._semlock.name, flush=True)
time.sleep(60)
"""


def start(tmp_path: Path, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
    """Start a process with labels."""
    return processes.start(argv, (), environment, tmp_path / "log")


def test_a_started_process_runs_on_its_cpus_alone(tmp_path: Path) -> None:
    """The affinity is the child's from the first instruction, and ours is unchanged."""
    ours = os.sched_getaffinity(0)
    cpu = min(ours)
    show = "import os; print(sorted(os.sched_getaffinity(0)))"
    child = processes.start([sys.executable, "-c", show], (cpu,), {}, tmp_path / "log")
    child.wait()
    assert (tmp_path / "log").read_text().strip() == f"[{cpu}]"
    assert os.sched_getaffinity(0) == ours


def test_children_are_found_by_label_however_they_detach(tmp_path: Path) -> None:
    """A process that left session and group still carries its label, and is ended."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-1"}
    child = start(tmp_path, [sys.executable, "-c", ESCAPING], **labels)
    while len(processes.tree(child.pid)) < 2:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert processes.reap_trial("t-1") == 1
    assert processes.reap_trial("t-1") == 0


# Drops labels and session, and its parent ends before it: nothing but the mark is left.
UNLABELLED = """
import os, subprocess
if os.fork() == 0:
    subprocess.Popen(["/bin/sleep", "321"], env={}, start_new_session=True)
"""


def sleepers() -> list[psutil.Process]:
    """The processes that `UNLABELLED` leaves behind."""
    mark = process_marks.of_trial("t-3")
    return [
        p for p in psutil.process_iter() if process_marks.read(p) == mark and p.name() == "sleep"
    ]


def test_a_child_without_labels_is_found_by_its_mark(tmp_path: Path) -> None:
    """It has an empty environment, another session, and no parent; it goes with its own trial."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-3"}
    assert start(tmp_path, [sys.executable, "-c", UNLABELLED], **labels).wait() == 0
    until(sleepers)
    (orphan,) = sleepers()
    assert orphan.environ() == {}
    assert processes.reap_trial("t-4") == 0
    assert processes.reap_orphans() == 0
    assert processes.reap_trial("t-3") == 1
    assert not processes.runs(orphan)


def test_a_mark_names_its_lab_and_changes_nothing_of_this_process() -> None:
    """Whose lab has ended is an orphan, though another process may have its number by now."""
    assert process_marks.read(psutil.Process()) == 0
    mark = process_marks.of_trial("t-5")
    with process_marks.marking(mark):
        child = subprocess.Popen(SLEEP)
    assert process_marks.read(psutil.Process(child.pid)) == mark
    assert process_marks.read(psutil.Process()) == 0
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert processes.labelled(lambda _: False, mark.__eq__) == []  # though it keeps its mark
    child.wait()
    assert not process_marks.is_of_dead_lab(mark)
    assert not process_marks.is_of_dead_lab(0)
    reused = mark ^ (1 << 16)  # the same process id, started at another moment
    assert process_marks.is_of_dead_lab(reused)


def test_what_is_about_to_end_is_not_left_behind(tmp_path: Path) -> None:
    """It may still be removing what is its to remove, as resource trackers do."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "t-2"}
    child = start(tmp_path, [sys.executable, "-c", "import time; time.sleep(0.1)"], **labels)
    assert processes.reap_trial("t-2") == 0
    assert child.wait() == 0


def test_an_ended_process_is_gone_though_nobody_has_looked(tmp_path: Path) -> None:
    """Its parent may take seconds to collect it, and nothing of ours waits for that."""
    child = start(tmp_path, SLEEP)
    begin = time.monotonic()
    assert processes.kill([psutil.Process(child.pid)]) == 1
    assert time.monotonic() - begin < processes.STOP_S
    assert child.returncode is None  # a zombie until now
    assert child.wait() == -9


@pytest.mark.alone  # others that begin reap as well
def test_only_what_belongs_to_dead_labs_is_reaped(tmp_path: Path) -> None:
    """A living lab's processes stay, and those of another boot or namespace; a dead one's go."""
    here = processes.realm()
    mine = start(tmp_path, SLEEP, LAB_OWNER=processes.owner())
    dead = start(tmp_path, SLEEP, LAB_OWNER=f"{here}:999999999:1.00")
    reused = start(tmp_path, SLEEP, LAB_OWNER=f"{here}:{os.getpid()}:1.00")
    foreign = start(tmp_path, SLEEP, LAB_OWNER="another/1:999999999:1.00")
    assert processes.reap_orphans() == 2
    assert [child.poll() for child in (mine, dead, reused, foreign)] == [None, -9, -9, None]
    processes.stop(foreign, mine)
    assert (foreign.poll(), mine.poll()) == (-15, -15)


def test_cpu_time_is_counted_by_process_and_after_its_end_by_its_parent(tmp_path: Path) -> None:
    """Work of living processes and of ended children is not lost."""
    child = start(tmp_path, [sys.executable, "-c", BURN])
    while "done" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    used = processes.cpu_ns([child.pid])
    assert 0.3e9 <= used < 1.0e9
    before = processes.cpu_ns([os.getpid()])  # ended children are counted in ticks of 10 ms
    processes.stop(child)
    assert processes.cpu_ns([os.getpid()]) - before >= 0.25e9
    assert processes.cpu_ns([child.pid]) == 0


def test_a_process_that_ignores_the_request_is_ended(tmp_path: Path) -> None:
    """Asking comes first, and ends in SIGKILL, of its children as well."""
    child = start(tmp_path, [sys.executable, "-c", STUBBORN])
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    family = processes.tree(child.pid)
    processes.stop(child, grace_s=0.2)
    assert child.returncode == -9
    assert len(family) == 2
    assert not any(processes.runs(process) for process in family[1:])


def test_what_killed_processes_shared_is_removed(tmp_path: Path) -> None:
    """Their tracker, which does it, is given the time to."""
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
    """Set SIGTERM's handler as a command does that a whole module's fixture has run."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.mark.usefixtures("command")
def test_what_a_test_forks_dies_of_being_terminated() -> None:
    """A child with a command's handler was seen to live on, and the pool to wait for it."""
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
