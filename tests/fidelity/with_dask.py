"""Dask's local schedulers, and `distributed` with its own commands."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from dask.base import compute
from dask.delayed import delayed
from distributed import Client

from tests.fidelity import stamps


def by_computing(variant: str, workers: int) -> Callable[[int], None]:
    """Return a function that computes so many tasks by threads or processes."""
    how: dict[str, Any] = {"num_workers": workers}
    if variant.endswith("+pool"):
        how = {"pool": ProcessPoolExecutor(workers, get_context("spawn"))}
    scheduler = variant.partition("+")[0]

    def run(tasks: int) -> None:
        call = delayed(stamps.noop, pure=False)
        compute(*map(call, range(tasks)), scheduler=scheduler, **how)  # type: ignore[no-untyped-call]

    return run


def main() -> None:
    """Start workers where there are any, warm them up, hand over all tasks and wait for them."""
    local, remote = ("threads", "processes", "processes+pool"), "distributed"
    given = stamps.options(__doc__, *local, remote, f"{remote}+threads")
    processes = given.workers if given.variant == remote else 1
    command = [sys.executable, "-m", "dask", "worker", given.dask_scheduler, "--no-dashboard"]
    command += ["--nworkers", str(processes), "--nthreads", str(given.workers // processes)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(stamps.file())
        if given.variant in local:
            run = by_computing(given.variant, given.workers)
        else:
            stack.enter_context(stamps.workers([command], given.worker_cpus))
            client = stack.enter_context(Client(given.dask_scheduler))  # type: ignore[no-untyped-call]
            client.wait_for_workers(processes)
            futures = []

            def run(tasks: int) -> None:
                futures.append(client.map(stamps.noop, range(tasks), pure=False))

        for tasks in (20 * given.workers, given.tasks):
            run(tasks)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
