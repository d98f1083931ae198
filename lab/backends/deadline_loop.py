"""Runs jobs in threads that sleep until absolute deadlines: the reference for schedulers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

from lab.core import cron
from lab.core.backend import Backend
from lab.core.model import Capability, Job, Variant
from lab.core.outcomes import Contract
from lab.worker import execution


class DeadlineLoop(Backend):
    """Starts a thread for each job, which sleeps until the next due instant and runs the job.

    Due instants are multiples of the period after the first one, so that delays do not accumulate
    (METHOD M18, B7). A firing that takes longer than the period delays the next ones.
    """

    family = "reference"
    summary = "sleep until absolute deadlines, one thread per job: the reference for schedulers"
    variants = (
        Variant(
            "thread",
            frozenset({Capability.RESCHEDULE, Capability.PARALLEL}),
            "Sleeps until `begin + k * period`, or until the wall clock reaches the next minute of "
            "the cron expression.",
            contract=Contract.SCHEDULER,
        ),
    )

    def start(self) -> None:
        """Create the register of threads, which is empty: each job starts its thread."""
        self._loops: dict[threading.Thread, threading.Event] = {}

    def schedule(self, job: Job) -> threading.Thread:
        """Start the job's thread and return it; it first fires after one period."""
        ended = threading.Event()
        thread = threading.Thread(target=_run, args=(job, ended), daemon=True)
        self._loops[thread] = ended
        thread.start()
        return thread

    def unschedule(self, handle: threading.Thread) -> None:
        """Stop the job's thread."""
        self._loops.pop(handle).set()
        handle.join()

    def stop(self) -> None:
        """Stop every thread."""
        for thread in list(self._loops):
            self.unschedule(thread)


def _run(job: Job, ended: threading.Event) -> None:
    for left_s in _waits_s(job):
        # Not `time.sleep`: `unschedule` would have to wait for the next due instant.
        if ended.wait(max(0.0, left_s)):
            return
        execution.execute(job.id, job.function, job.argument)


def _waits_s(job: Job) -> Iterator[float]:
    """Yield the time from now to each next due instant, in seconds."""
    if job.every_s:
        # Only a cron line names instants of the wall clock, which may be set (METHOD M26).
        begin = time.monotonic()
        for k in itertools.count(1):
            yield begin + k * job.every_s - time.monotonic()
    for second in cron.instants_s(job.cron, time.time()):
        yield second - time.time()
