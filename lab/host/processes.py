"""Starts the processes of a trial with labels, and kills all labelled processes after the trial.

A process has two labels in its environment: ``LAB_OWNER``, the lab process that it belongs to, and
``LAB_TRIAL``. Children inherit labels, also after `setsid`, which leaves the process group. So the
lab finds work-horses and pool children, and a later lab finds those of a lab that was killed. A
child with another environment is found by its mark (`lab.host.process_marks`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import psutil

from lab.host import affinity, child_environment, interrupts, process_marks

OWNER, TRIAL = "LAB_OWNER", "LAB_TRIAL"
STOP_S = 5.0
GRACE_S = 0.5
SAME_START_S = 2.0


@cache
def realm() -> str:
    """Return an identifier of the boot and the process namespace in which process ids are valid."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return "here"  # not Linux: one realm


def owner() -> str:
    """Return an identifier of this lab process that no later process can have."""
    me = psutil.Process()
    return f"{realm()}:{me.pid}:{me.create_time():.2f}"


def is_alive(name: str) -> bool:
    """Return whether the lab process with the identifier `name`, from `owner`, still runs.

    A process of another realm cannot be checked, and counts as alive.
    """
    where, _, process_name = name.partition(":")
    if where != realm():
        return bool(process_name)
    pid, _, created = process_name.partition(":")
    try:
        process = psutil.Process(int(pid))
        # Setting the clock moves the start times that psutil computes, but never by much.
        return abs(process.create_time() - float(created)) < SAME_START_S and is_running(process)
    except (psutil.Error, ValueError, OverflowError):
        return False


def start(
    argv: Sequence[str],
    cpus: Sequence[int],
    environment: Mapping[str, str],
    log: Path,
    *,
    pipes: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process on `cpus`, in a new session, with its output in `log`.

    With `pipes`, standard input and output are pipes of the caller, and only errors go to `log`.
    The current folder is ``PWD`` of `environment`, or the folder of `log`, which contains no
    module: some backends import from the current folder in spite of PYTHONSAFEPATH.
    """
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if pipes else {}
    return _start(argv, cpus, environment, log, streams)


def start_reading(
    standard_input: bytes,
    argv: Sequence[str],
    cpus: Sequence[int],
    environment: Mapping[str, str],
    log: Path,
) -> subprocess.Popen[bytes]:
    """Start a process as `start` does, with a standard input of at most 64 KiB.

    For secrets: other users of the machine can read arguments, but not standard input.
    """
    process = _start(argv, cpus, environment, log, {"stdin": subprocess.PIPE})
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # ended early: see its log
            process.stdin.write(standard_input)
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
    # A start that a signal interrupts could leave a process without a reference to it.
    with (
        interrupts.deferred(),
        log.open("ab") as stream,
        affinity.pinned(cpus),
        process_marks.marking(mark),
    ):
        return subprocess.Popen(
            argv,
            env={**child_environment.of_process(), **environment},
            cwd=environment.get("PWD", log.parent),
            stdin=streams.get("stdin", subprocess.DEVNULL),
            stdout=streams.get("stdout", stream),
            stderr=stream,
            # Ctrl-C signals the group of the terminal. Only the lab handles it, and stops the
            # parts in their order.
            start_new_session=True,
            bufsize=0,  # a buffer could never be flushed after its reader has ended
        )


def ending(code: int) -> str:
    """Describe how a process ended, from its return code as `subprocess` reports it."""
    if code >= 0:
        return f"ended with code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was killed by {names.get(-code, f'signal {-code}')}"


def limit_memory(process: subprocess.Popen[bytes], most_bytes: int) -> None:
    """Limit the address space of a process, and of each child that it starts from now on.

    If the machine runs out of memory, the kernel kills these processes first.
    """
    if psutil.LINUX:  # no other system can set limits of another process
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (most_bytes, most_bytes))
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its running descendants; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_ns(pids: Iterable[int]) -> int:
    """Return the CPU time of processes and of the children that they have waited for, nanoseconds.

    The time of a running process is exact to a nanosecond (its CPU clock); that of ended children
    has the resolution of the kernel's ticks, 10 ms.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            process = psutil.Process(pid)
            times = process.cpu_times()
            ended_s = times.children_user + times.children_system
            total += _running_cpu_ns(process) + round(ended_s * 1e9)
    return total


def _running_cpu_ns(process: psutil.Process) -> int:
    if psutil.LINUX:
        # clock_getcpuclockid(3): the complement of the pid, and 2 for the scheduler's clock.
        return time.clock_gettime_ns((~process.pid << 3) | 2)
    times = process.cpu_times()
    return round((times.user + times.system) * 1e9)


def stop(*processes: subprocess.Popen[bytes], grace_s: float = STOP_S) -> None:
    """Terminate processes, and kill those that still run after `grace_s` seconds.

    The descendants of a process that must be killed are killed as well.
    """
    for process in processes:
        process.terminate()
    # All get the signal first, so that they share one grace period.
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


def kill_started(*started: subprocess.Popen[bytes]) -> None:
    """Kill processes that this lab started, and their descendants, without a grace period."""
    # A parent is killed before its children, so that it starts no others in their place.
    kill(process for child in started for process in tree(child.pid))
    for child in started:
        child.wait()


def labelled(
    by_label: Callable[[Mapping[str, str]], bool], by_mark: Callable[[int], bool] = lambda _: False
) -> list[psutil.Process]:
    """Return the processes whose environment or mark is accepted, except this process."""
    accepted = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # A zombie has a mark as well. Checked second, because few processes have a mark.
            is_marked = by_mark(process_marks.read(process)) and is_running(process)
            if process.pid != os.getpid() and (is_marked or by_label(process.environ())):
                accepted.append(process)
    return accepted


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kill processes, wait until they have ended, and return their number.

    Resource trackers of `multiprocessing` get `GRACE_S` seconds to end by themselves: they first
    remove the shared memory of the processes that they serve.
    """
    targets = [*processes]
    trackers = [process for process in targets if _is_tracker(process)]
    _kill(process for process in targets if process not in trackers)
    _kill(await_end(trackers, GRACE_S))
    await_end(targets, STOP_S)
    return len(targets)


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _is_tracker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "resource_tracker import main" in " ".join(process.cmdline())
    return False


def await_end(processes: Iterable[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait until processes have ended, and return those that still run after `patience_s` s."""
    # Not `psutil.wait_procs`, which would reap a child: its `Popen` then has no exit code.
    running = [process for process in processes if is_running(process)]
    deadline = time.monotonic() + patience_s
    while running and time.monotonic() < deadline:
        time.sleep(0.005)
        running = [process for process in running if is_running(process)]
    return running


def is_running(process: psutil.Process) -> bool:
    """Return whether a process has not ended; a zombie has ended.

    A process stays a zombie until its parent waits for it; the init of a container may take
    seconds to do so.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reap_trial(trial: str) -> int:
    """Kill the remaining processes of a trial of this lab process, and return their number.

    Processes that end within `GRACE_S` seconds do not count: the resource tracker of an ended
    driver still removes shared memory.
    """
    this_lab = owner()
    mark = process_marks.of_trial(trial)
    remaining = labelled(
        lambda env: env.get(OWNER) == this_lab and env.get(TRIAL) == trial, mark.__eq__
    )
    return kill(await_end(remaining, GRACE_S))


def reap_orphans() -> int:
    """Kill the processes of lab processes that have ended, and return their number."""
    alive: dict[str, bool] = {}

    def orphaned(environment: Mapping[str, str]) -> bool:
        name = environment.get(OWNER)
        if name is None:
            return False
        if name not in alive:
            alive[name] = is_alive(name)
        return not alive[name]

    return kill(labelled(orphaned, process_marks.is_of_dead_lab))
