"""A loop that sleeps to absolute deadlines: what no scheduler can be more punctual than."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

from lab.core import cron
from lab.core.backend import Backend
from lab.core.model import Capability, Job, Variant
from lab.worker import execution


class DeadlineLoop(Backend):
    """Gives each job a thread that sleeps until the next instant and runs the job in place.

    The next instant comes from the first one and never from the end of a run, so that nothing adds
    up (METHOD B7). A run that takes longer than the period makes those after it late.
    """

    family = "reference"
    summary = "sleep to absolute deadlines, a thread a job: the floor of schedulers"
    variants = (
        Variant(
            "thread",
            frozenset({Capability.RESCHEDULE, Capability.PARALLEL}),
            "time.sleep until `begin + k * period`, or until the wall clock shows the cron line's "
            "next minute.",
        ),
    )

    def start(self) -> None:
        """Do nothing yet: each job brings its thread."""
        self._loops: dict[threading.Thread, threading.Event] = {}

    def schedule(self, job: Job) -> threading.Thread:
        """Start the job's thread and return it; the first run is one period from now."""
        ended = threading.Event()
        thread = threading.Thread(target=_run, args=(job, ended), daemon=True)
        self._loops[thread] = ended
        thread.start()
        return thread

    def unschedule(self, handle: threading.Thread) -> None:
        """End the job's thread."""
        self._loops.pop(handle).set()
        handle.join()

    def stop(self) -> None:
        """End every thread."""
        for thread in list(self._loops):
            self.unschedule(thread)


def _run(job: Job, ended: threading.Event) -> None:
    for left_s in _waits_s(job):
        if ended.wait(max(0.0, left_s)):
            return
        execution.execute(job.id, job.function, job.argument)


def _waits_s(job: Job) -> Iterator[float]:
    """Yield how long to wait from now to each next instant."""
    if job.every_s:
        begin = time.monotonic()
        for k in itertools.count(1):
            yield begin + k * job.every_s - time.monotonic()
    for second in cron.instants_s(job.cron, time.time()):
        yield second - time.time()
