"""Tests the hooks of the local provider on plain processes: proofs, refusals, restarts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lab.core.errors import ClusterError
from lab.core.faults import FaultKind, Role, Target
from lab.host import faked_clock, processes
from lab.providers import watchdog
from lab.providers.compose_faults import ComposeFaults
from lab.providers.local_faults import LocalFaults, LocalPart
from lab.worker import clock_file

# Starts one child, and ends at SIGTERM or ignores it.
PARENT = (
    "import signal, subprocess, sys, time\n"
    "if sys.argv[1] == 'deaf': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)
# Starts one child by vfork: `posix_spawn` opens a file in it first.
STARTING = (
    "import os, sys, time\n"
    "opened = [(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)]\n"
    "argv = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
    "os.posix_spawn(sys.executable, argv, os.environ, file_actions=opened)\n"
    "time.sleep(60)\n"
)


class Hooks(LocalFaults):
    """The hooks over one worker and one server."""

    def __init__(
        self, folder: Path, how: str = "", program: str = PARENT, *, is_faked: bool = False
    ) -> None:
        environment = {processes.OWNER: processes.owner(), processes.TRIAL: f"t{id(self)}-1"}
        site: Any = SimpleNamespace(environment=environment, has_faked_clocks=is_faked)
        site.schedules_in_workers = False
        self.site, self._scratch = site, folder
        self._services, self._driver = [], None

        def start() -> LocalPart:
            argv, log = [sys.executable, "-c", program, how], folder / "node0-0.log"
            clock = self.faked_clock("node0-0")
            # Without the file, libfaketime may end a process with threads.
            assert not clock or Path(clock[clock_file.FAKED]).exists()
            process = processes.start(argv, (), environment | clock, log)
            return LocalPart("node0", process, log, start, Role.WORKER, 0, 0)

        self._nodes = [start()]
        deadline = time.monotonic() + 10
        while not self.targets(Role.CHILD):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def worker(self) -> Target:
        """The worker as a target."""
        (target,) = self.targets(Role.WORKER)
        return target

    @property
    def child(self) -> psutil.Process:
        """The child of the worker."""
        return psutil.Process(self.targets(Role.CHILD)[0].pid)


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    """A worker that ends at SIGTERM, with a child."""
    started = Hooks(tmp_path)
    yield started
    processes.stop(*(part.process for part in started._nodes))


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Hooks]:
    """A worker that ignores SIGTERM."""
    started = Hooks(tmp_path, "deaf")
    yield started
    processes.stop(*(part.process for part in started._nodes))


def test_a_killed_worker_ends_with_its_children(hooks: Hooks) -> None:
    """The proof is the exit code, as the parent process of the worker sees it."""
    child, worker = hooks.child, hooks.worker
    assert hooks.kill(worker) == "exit code -9"
    assert not processes.is_running(child)
    assert hooks.dead_parts() == ["node0-0"]
    assert hooks.targets(Role.WORKER) == []


def test_a_killed_child_leaves_its_worker(hooks: Hooks) -> None:
    """Only the child is hit."""
    target = hooks.targets(Role.CHILD)[0]
    assert hooks.kill(target) == f"process {target.pid} has ended"
    assert hooks.dead_parts() == []


def test_a_worker_that_starts_the_jobs_is_the_scheduler(hooks: Hooks) -> None:
    """It ends with its children, because they are one command."""
    assert hooks.targets(Role.SCHEDULER) == []
    site: Any = hooks.site
    site.schedules_in_workers = True
    (scheduler,) = hooks.targets(Role.SCHEDULER)
    child = hooks.child
    assert (scheduler.pid, scheduler.part) == (hooks.worker.pid, hooks.worker.part)
    assert hooks.kill(scheduler) == "exit code -9"
    assert not processes.is_running(child)
    assert hooks.dead_parts() == ["node0-0"]


def test_a_dead_part_is_started_again(hooks: Hooks) -> None:
    """It has another process id and the same name."""
    before = hooks.worker
    hooks.kill(before)
    hooks.restart("node0-0")
    assert hooks.worker.part == before.part
    assert hooks.worker.pid != before.pid
    assert hooks.dead_parts() == []


def test_a_paused_worker_is_stopped_with_its_children(hooks: Hooks) -> None:
    """The proof is the state in /proc; `resume` undoes it."""
    worker, child = hooks.worker, hooks.child
    assert hooks.pause(worker) == f"state T in /proc/{worker.pid}/stat"
    stopped = {psutil.Process(worker.pid).status(), child.status()}
    assert stopped == {psutil.STATUS_STOPPED}
    hooks.resume(worker)
    assert child.status() != psutil.STATUS_STOPPED


def test_a_worker_that_is_starting_a_child_is_stopped(tmp_path: Path) -> None:
    """Its child shares its memory until it begins its program: the worker stops only after that."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    hooks = Hooks(tmp_path, str(pipe), STARTING)
    # The child reads the pipe before it begins its program, and waits for a writer.
    opener = threading.Timer(0.3, lambda: os.close(os.open(pipe, os.O_RDWR)))
    opener.start()
    try:
        assert hooks.pause(hooks.worker).startswith("state T")
        assert hooks.child.status() == psutil.STATUS_STOPPED
    finally:
        opener.join()
        processes.stop(*(part.process for part in hooks._nodes))


def test_a_worker_that_obeys_ends_within_its_grace_period(hooks: Hooks) -> None:
    """The proof has the exit code and the time."""
    proof = hooks.terminate(hooks.worker, 10.0)
    assert re.fullmatch(r"exit code -15 \d\.\d{3} s after SIGTERM", proof)


def test_a_worker_that_does_not_obey_is_killed_after_its_grace_period(deaf: Hooks) -> None:
    """The proof says so."""
    time.sleep(0.2)  # the handler is set before the child starts, and this is for the child
    proof = deaf.terminate(deaf.worker, 0.2)
    assert proof == "still running 0.2 s after SIGTERM; exit code -9"


@pytest.mark.parametrize("pid", [os.getpid(), os.getppid(), 1], ids=["itself", "parent", "init"])
def test_the_lab_and_foreign_processes_are_refused(hooks: Hooks, pid: int) -> None:
    """A target that is not of this trial is not hit by any hook."""
    target = Target(Role.WORKER, "node0-0", pid, 0, 0)
    for hit in (hooks.kill, hooks.pause, hooks.resume, lambda each: hooks.terminate(each, 1.0)):
        with pytest.raises(ClusterError, match="is not a process of this trial, so it is not hit"):
            hit(target)


def test_a_process_of_another_trial_is_refused(hooks: Hooks, tmp_path: Path) -> None:
    """Two trials of one lab do not hit each other."""
    other = {processes.OWNER: processes.owner(), processes.TRIAL: "other-1"}
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = processes.start(argv, (), other, tmp_path / "other.log")
    with pytest.raises(ClusterError, match="is not a process of this trial"):
        hooks.kill(Target(Role.WORKER, "node0-0", process.pid))
    processes.stop(process)


def test_a_target_that_has_ended_is_refused(hooks: Hooks) -> None:
    """A process id that is free again hits nothing."""
    worker = hooks.worker
    hooks.kill(worker)
    with pytest.raises(ClusterError, match="has ended before"):
        hooks.kill(worker)


def test_stopped_processes_of_a_killed_lab_are_removed(tmp_path: Path) -> None:
    """SIGKILL ends a stopped process, so the next lab needs no SIGCONT for it."""
    script = (
        "import sys; from pathlib import Path; from tests.unit.providers import test_local_faults\n"
        "hooks = test_local_faults.Hooks(Path(sys.argv[1]))\n"
        "hooks.pause(hooks.worker)\n"
        "print(hooks.worker.pid, hooks.child.pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    lab = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert lab.stdout is not None
    stopped = [psutil.Process(int(pid)) for pid in lab.stdout.readline().split()]
    assert {process.status() for process in stopped} == {psutil.STATUS_STOPPED}
    lab.send_signal(signal.SIGKILL)
    lab.wait()
    lab.stdout.close()
    assert processes.reap_orphans() >= len(stopped)
    assert not any(processes.is_running(process) for process in stopped)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_clock_is_proved_and_undone(step_s: float, tmp_path: Path) -> None:
    """The proof counts the worker and its child."""
    hooks = Hooks(tmp_path, is_faked=True)
    proof = r"wall clock (.*) s, monotonic clock (.*) s; 2 processes with libfaketime"
    for seconds in (step_s, 0.0):
        read = re.fullmatch(proof, hooks.step_clock(hooks.worker, seconds))
        assert read
        assert abs(float(read[1]) - seconds) < faked_clock.TOLERANCE_S
        assert abs(float(read[2])) < faked_clock.TOLERANCE_S
    processes.stop(*(part.process for part in hooks._nodes))
    faked_clock.remove_dead()


def test_a_clock_that_is_not_prepared_cannot_be_stepped(hooks: Hooks) -> None:
    """It is a missed hit, and not one that does nothing."""
    with pytest.raises(ClusterError, match="was started without libfaketime"):
        hooks.step_clock(hooks.worker, 60.0)


def test_a_stepped_clock_of_a_killed_lab_is_removed() -> None:
    """Processes, files and shared memory are gone after the next clean-up."""
    script = (
        "import sys; from pathlib import Path; from tests.unit.providers import test_local_faults\n"
        "from lab.host import temp_dirs\n"
        "hooks = test_local_faults.Hooks(temp_dirs.make(), is_faked=True)\n"
        "hooks.step_clock(hooks.worker, 60.0)\n"
        "print(hooks.worker.pid, hooks.child.pid, hooks._scratch, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    lab = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert lab.stdout is not None
    *pids, folder = lab.stdout.readline().split()
    stepped = [psutil.Process(int(pid)) for pid in pids]
    assert (Path(folder) / "clock-node0-0").exists()
    lab.kill()
    lab.wait()
    lab.stdout.close()
    watchdog.remove_dead()
    assert not any(processes.is_running(process) for process in stepped)
    assert not Path(folder).exists()
    shared = [path for pid in pids for path in faked_clock.SHARED.glob(f"*faketime_s*_{pid}")]
    assert shared == []


def test_a_kind_without_hooks_is_refused_with_the_next_step() -> None:
    """The sentence of the plan names the provider that can do it."""
    assert LocalFaults.fault_lack(FaultKind.NETWORK_CUT) == (
        "it needs containers (--provider compose)"
    )
    several = "it needs several hosts (--provider swarm)"
    assert LocalFaults.fault_lack(FaultKind.HOST_LOSS) == several
    assert ComposeFaults.fault_lack(FaultKind.HOST_LOSS) == several
    kinds = (FaultKind.NONE, FaultKind.WORKER_KILL, FaultKind.POISON, FaultKind.CLOCK_STEP)
    for kind in kinds:
        assert LocalFaults.fault_lack(kind) == ""


def test_the_instant_of_a_hit_is_that_of_its_signal(hooks: Hooks) -> None:
    """The processes of the target are listed before it, which takes some milliseconds."""
    worker = hooks.worker
    before_ns = time.monotonic_ns()
    hooks.kill(worker)
    assert before_ns < hooks.struck_ns < time.monotonic_ns()
