"""Code that the scripts of this folder share: options, stamps of completions, worker processes.

Each script is the shortest one that measures a system's throughput without the lab: workers up,
warmed up, then a burst of no-op tasks, and the rate between the 10 % and the 90 % completion, by
instants that the task itself takes. Run one from the root, for
instance ``python -m tests.fidelity.with_thread_pool --tasks 5000 --workers 2``.

Within one process an instant is appended to a list, the cheapest record there is. Worker
processes append eight bytes to one file, unbuffered: a pool's child or an RQ work-horse ends
without flushing, and what it had buffered would be lost.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

FILE = "FIDELITY_STAMPS"
WORD = 8
PATIENCE_S = 120.0


def options(about: str, *variants: str) -> argparse.Namespace:
    """Read the command line; the first of `variants` is what is run when none is named."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--variant", choices=variants, default=variants[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0", help="an empty Redis")
    parser.add_argument("--rabbitmq", default="amqp://127.0.0.1:5672//")
    parser.add_argument("--postgres", default="postgresql://127.0.0.1:5432/postgres")
    parser.add_argument("--dask-scheduler", default="tcp://127.0.0.1:8786")
    parser.add_argument("--worker-cpus", default="", help="such as 0,1; default: where this runs")
    return parser.parse_args()


def report(instants_ns: Sequence[int]) -> None:
    """Print the rate in tasks per second."""
    print(f"{rate_hz(instants_ns):.1f}")  # noqa: T201 (the script's answer)


def rate_hz(instants_ns: Sequence[int]) -> float:
    """Return the rate between the 10 % and the 90 % completion, in tasks per second."""
    instants, n = sorted(instants_ns), len(instants_ns)
    first, last = -(-n // 10) - 1, -(-9 * n // 10) - 1
    return (last - first) * 1e9 / (instants[last] - instants[first])


@contextlib.contextmanager
def file() -> Iterator[None]:
    """Provide the file that this process's children stamp into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stamps"
        path.touch()
        os.environ[FILE] = str(path)
        yield


def stamp() -> None:
    """Append this instant to the file; `O_APPEND` keeps processes apart."""
    os.write(_descriptor(), time.monotonic_ns().to_bytes(WORD, "little"))


def noop(number: int) -> int:
    """Stamp and return the argument; for systems that send what a script defines by value."""
    stamp()
    return number


@cache
def _descriptor() -> int:
    return os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND)


def wait_for(number: int) -> list[int]:
    """Wait until the file holds `number` stamps, and return and forget them."""
    path, deadline = Path(os.environ[FILE]), time.monotonic() + PATIENCE_S
    while path.stat().st_size < number * WORD:
        if time.monotonic() > deadline:
            raise SystemExit(f"Only {path.stat().st_size // WORD} of {number} tasks completed.")
        time.sleep(0.01)
    instants = array.array("q", path.read_bytes())
    os.truncate(path, 0)
    return instants.tolist()


@contextlib.contextmanager
def workers(commands: Sequence[Sequence[str]], cpus: str) -> Iterator[None]:
    """Run worker commands on `cpus`, each in a session of its own, and end them afterwards.

    Linux shares a CPU among sessions first (``sched_autogroup``): workers in the script's session
    got other shares than the lab's or a service manager's, which have sessions of their own.
    """
    before = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack, tempfile.TemporaryFile() as log:
        os.sched_setaffinity(0, map(int, cpus.split(",")) if cpus else before)
        for command in commands:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            stack.enter_context(process)  # which waits for its end
            stack.callback(process.terminate)
        os.sched_setaffinity(0, before)
        yield
