"""Changes a schedule while it runs, as a driver: ``python -m tests.contract.rescheduling FOLDER``.

It adds the second job with a period of an hour, changes the period to that of the first job, and
removes the first job. It prints two instants of CLOCK_MONOTONIC: after the removal, and at the end.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from lab.driver.driver import Driver
from lab.recording.ledger_reader import CompletionCounter

PATIENCE_S = 90.0
SELDOM_S = 3600.0


def await_runs(ledger: Path, job_id: int, n: int) -> None:
    """Wait until a job has fired `n` times.

    Raises:
        TimeoutError: It did not within `PATIENCE_S`.
    """
    watcher = CompletionCounter(ledger, range(job_id, job_id + 1))
    if not watcher.reaches(n, PATIENCE_S):
        raise TimeoutError(f"Job {job_id} fired {watcher.finished} times, not {n}.")


def main(folder: Path) -> None:
    """Schedule the first job; then add the second, change it, and remove the first.

    The changes follow two firings, because a scheduler that is not ready may miss a job.
    """
    driver, ledger = Driver(folder, lambda _: None, lambda: None), folder / "ledger"
    driver.boot()
    driver.verify()
    backend, (first, second) = driver.backend, driver.jobs
    handle = backend.schedule(first)
    await_runs(ledger, first.id, 2)
    seldom = backend.schedule(replace(second, every_s=SELDOM_S))
    backend.reschedule(seldom, second)
    backend.unschedule(handle)
    removed_ns = time.monotonic_ns()
    await_runs(ledger, second.id, 3)
    print(removed_ns, time.monotonic_ns())  # noqa: T201 (the test reads it)
    backend.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
