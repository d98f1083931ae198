"""Starts processes that can always be found again, and makes sure none is left.

Each carries two labels in its environment: ``LAB_OWNER``, the lab process it belongs to, and
``LAB_TRIAL``. Labels pass on to children and survive `setsid`, which process groups do not, so
work-horses and pool children are found as well, also after the lab itself was killed. A child that
was given another environment is found by its mark (`lab.host.process_marks`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import psutil

from lab.host import child_environment, interrupts, process_marks

OWNER, TRIAL = "LAB_OWNER", "LAB_TRIAL"
STOP_S = 5.0
GRACE_S = 0.5
SAME_START_S = 2.0


@cache
def realm() -> str:
    """Name the boot and the process namespace in which a process id of ours has a meaning."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return "here"  # not Linux: one realm


def owner() -> str:
    """Name this lab process so that no later process can be mistaken for it."""
    me = psutil.Process()
    return f"{realm()}:{me.pid}:{me.create_time():.2f}"


def is_alive(name: str) -> bool:
    """Tell whether the lab process that `owner` named still runs.

    One of another realm cannot be asked, and is taken for alive.
    """
    where, _, process_name = name.partition(":")
    if where != realm():
        return bool(process_name)
    pid, _, created = process_name.partition(":")
    try:
        process = psutil.Process(int(pid))
        # A clock that was set moves the times psutil computes, though never by much.
        return abs(process.create_time() - float(created)) < SAME_START_S and runs(process)
    except (psutil.Error, ValueError, OverflowError):
        return False


@contextlib.contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Let processes started inside inherit an affinity; this thread's own is put back after.

    Set before the fork rather than after it, so that no thread of the child escapes; and in the
    parent, so that no Python runs between fork and exec.
    """
    if not cpus or not psutil.LINUX:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    argv: Sequence[str],
    cpus: Sequence[int],
    environment: Mapping[str, str],
    log: Path,
    *,
    pipes: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process on `cpus`, in a session of its own, writing to `log`.

    With `pipes`, its standard input and output belong to the caller, and only errors to `log`. Its
    current folder is ``PWD`` of `environment`, else that of its log, where no module lies: some
    systems import from the current folder whatever PYTHONSAFEPATH says.
    """
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if pipes else {}
    return _start(argv, cpus, environment, log, streams)


def start_reading(
    given: bytes,
    argv: Sequence[str],
    cpus: Sequence[int],
    environment: Mapping[str, str],
    log: Path,
) -> subprocess.Popen[bytes]:
    """Start a process as `start` does, with `given` as its standard input, at most 64 KiB.

    It is the way for what no other user of the machine may read: arguments are for all.
    """
    process = _start(argv, cpus, environment, log, {"stdin": subprocess.PIPE})
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # its log says why it ended
            process.stdin.write(given)
    return process


def _start(
    argv: Sequence[str],
    cpus: Sequence[int],
    environment: Mapping[str, str],
    log: Path,
    streams: Mapping[str, int],
) -> subprocess.Popen[bytes]:
    stream: IO[bytes]
    mark = process_marks.of_trial(environment.get(TRIAL, ""))
    # A start that a signal cut short could leave a process that nobody knows.
    with interrupts.deferred(), log.open("ab") as stream, pinned(cpus), process_marks.marking(mark):
        return subprocess.Popen(
            argv,
            env={**child_environment.of_process(), **environment},
            cwd=environment.get("PWD", log.parent),
            stdin=streams.get("stdin", subprocess.DEVNULL),
            stdout=streams.get("stdout", stream),
            stderr=stream,
            start_new_session=True,
            bufsize=0,  # nothing may wait in a buffer for a reader that is gone
        )


def ending(code: int) -> str:
    """Say how a process ended, by its return code as `subprocess` gives it."""
    if code >= 0:
        return f"ended with code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was killed by {names.get(-code, f'signal {-code}')}"


def limit_memory(process: subprocess.Popen[bytes], most_bytes: int) -> None:
    """Limit the address space of a process, and of each child that it starts from now on.

    Should the machine's memory end before, the kernel is asked to kill these first.
    """
    if psutil.LINUX:  # nowhere else can the limits of another process be set
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (most_bytes, most_bytes))
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants that still run."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_ns(pids: Iterable[int]) -> int:
    """Sum the CPU time of processes and of the children they have waited for, nanoseconds.

    Own time comes from each process's CPU clock, exact to the nanosecond; that of children that
    have ended only from the kernel's ticks of 10 ms.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            process = psutil.Process(pid)
            times = process.cpu_times()
            ended_s = times.children_user + times.children_system
            total += _own_cpu_ns(process) + round(ended_s * 1e9)
    return total


def _own_cpu_ns(process: psutil.Process) -> int:
    if psutil.LINUX:
        # clock_getcpuclockid(3): the complement of the pid, and 2 for the scheduler's clock.
        return time.clock_gettime_ns((~process.pid << 3) | 2)
    times = process.cpu_times()
    return round((times.user + times.system) * 1e9)


def stop(*processes: subprocess.Popen[bytes], grace_s: float = STOP_S) -> None:
    """Ask processes to end, all at once, and end those that have not after `grace_s` seconds.

    Who must be ended takes his descendants along: nobody else would ask them.
    """
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace_s
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill(tree(process.pid))
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def labelled(
    by_label: Callable[[Mapping[str, str]], bool], by_mark: Callable[[int], bool] = lambda _: False
) -> list[psutil.Process]:
    """Return the running processes of this user that one of the two accepts, this one excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_marked = by_mark(process_marks.read(process)) and runs(
                process
            )  # a zombie has one as well
            if process.pid != os.getpid() and (is_marked or by_label(process.environ())):
                found.append(process)
    return found


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kill processes and wait until they run no more; return how many there were.

    Resource trackers come last, and only if they must: they end with those whom they serve, once
    they have removed what these shared, and nobody else would remove it.
    """
    found = [*processes]
    trackers = [process for process in found if _is_tracker(process)]
    _kill(process for process in found if process not in trackers)
    _kill(await_end(trackers, GRACE_S))
    await_end(found, STOP_S)
    return len(found)


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _is_tracker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "resource_tracker import main" in " ".join(process.cmdline())
    return False


def await_end(processes: Iterable[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait until processes have ended, and return those that have not in `patience_s` seconds."""
    left = [*processes]
    deadline = time.monotonic() + patience_s
    while (left := [process for process in left if runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.005)
    return left


def runs(process: psutil.Process) -> bool:
    """Tell whether a process has not ended yet.

    One that has stays a zombie until its parent looks; init of a container may take seconds.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reap_trial(trial: str) -> int:
    """Kill whatever a trial of this lab process left behind; return how many processes.

    What is about to end by itself is none of it: the resource tracker of a driver that has ended
    still removes what its children shared.
    """
    mine = owner()
    mark = process_marks.of_trial(trial)
    found = labelled(lambda env: env.get(OWNER) == mine and env.get(TRIAL) == trial, mark.__eq__)
    return kill(await_end(found, GRACE_S))


def reap_orphans() -> int:
    """Kill the processes of labs that are gone; those of living labs are left alone."""
    alive: dict[str, bool] = {}

    def orphaned(environment: Mapping[str, str]) -> bool:
        name = environment.get(OWNER)
        if name is None:
            return False
        if name not in alive:
            alive[name] = is_alive(name)
        return not alive[name]

    return kill(labelled(orphaned, process_marks.is_of_dead_lab))
