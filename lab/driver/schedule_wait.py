"""Waits for scheduled jobs to run.

Firings are read from the ledger; the scheduler is never polled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.core import fire_times
from lab.core.durations import GRACE_S, first_run_s
from lab.core.errors import LabError
from lab.core.model import Job, Periodic
from lab.driver.worker_records import WorkerRecords
from lab.host import wall_clock
from lab.recording.ledger_reader import LOOK_S, executions
from lab.worker.ledger import OK

# The wall clock is read at this interval, together with CLOCK_MONOTONIC (METHOD M26).
MINUTE_S = 60.0


@dataclass(frozen=True)
class ScheduleWait:
    """The jobs of a trial; `answers` maps the id of each to the checksum of its right answer."""

    arrival: Periodic
    jobs: Sequence[Job]
    answers: Mapping[int, int]
    records: WorkerRecords

    def keep(self, begin_ns: int, remove: Callable[[], None]) -> dict[str, Any]:
        """Wait until each job has fired for its last occurrence, or until that period is over.

        The wait includes `GRACE_S` after the last due instant, to record excess firings. If the
        arrival removes its jobs, `remove` is then called, and three more periods are waited for
        firings of removed jobs.

        Returns:
            Fields of the driver's status: ``wall``, readings of both clocks, and ``reason``, empty
            or a message about jobs without a firing.

        Raises:
            LabError: A job raised an exception or returned a wrong answer.
        """
        readings = [wall_clock.read()]
        firsts = self._first_runs()
        offset_ns = wall_clock.offset_ns(readings[0])
        due = {
            job.id: fire_times.due_ns(job, first, begin_ns, self._n(first, begin_ns), offset_ns)
            for job in self.jobs
            if (first := firsts.get(job.id))
        }
        last = {
            job_id: fire_times.period_boundaries_ns(instants)[-2:]
            for job_id, instants in due.items()
        }
        end_ns = max((end for _, end in last.values()), default=begin_ns)
        last_ns = max((instants[-2] for instants in due.values()), default=begin_ns)
        grace_ns = min(last_ns + round(GRACE_S * 1e9), end_ns)
        while (left_s := (grace_ns - time.monotonic_ns()) / 1e9) > 0:
            time.sleep(min(left_s, MINUTE_S))
            readings.append(wall_clock.read())
        since = {job_id: begin for job_id, (begin, _) in last.items()}
        await_runs(self.records, self.answers, since, end_ns)
        if self.arrival.is_removed:
            remove()
            # One period may pass by chance without a firing of a job that was not removed.
            time.sleep(3 * fire_times.period_s(self.arrival))
        readings.append(wall_clock.read())
        return {"wall": readings, "reason": self._missing(firsts)}

    def _n(self, first_ns: int, begin_ns: int) -> int:
        """Return the number of occurrences to wait for.

        The phase of an interval may later be taken from a more punctual firing than the first. If
        the first firing was before the window, the first due instant of that phase may be before
        it as well, so one more occurrence is needed.
        """
        return self.arrival.n_occurrences + (self.arrival.every_s > 0 and first_ns < begin_ns)

    def _first_runs(self) -> dict[int, int]:
        """Wait until every job has fired; return the start of the first firing by job id, in ns.

        A job that did not fire in time is missing from the result.
        """
        deadline_ns = time.monotonic_ns() + round(first_run_s(self.arrival) * 1e9)
        since = dict.fromkeys(self.answers, 0)
        runs = await_runs(self.records, self.answers, since, deadline_ns)
        # In descending order, so that the earliest firing of a job replaces the others.
        return {job_id: started_ns for started_ns, job_id in sorted(runs, reverse=True)}

    def _missing(self, firsts: Mapping[int, int]) -> str:
        if len(firsts) == len(self.jobs):
            return ""
        missing, within_s = len(self.jobs) - len(firsts), first_run_s(self.arrival)
        return f"{missing} of {len(self.jobs)} jobs did not run within {within_s:.0f} s."


def await_runs(
    records: WorkerRecords,
    answers: Mapping[int, int],
    since_ns: Mapping[int, int],
    deadline_ns: int,
) -> Sequence[tuple[int, int]]:
    """Wait until each job of `since_ns` has fired since its instant there, or until the deadline.

    Finished firings are counted, which is cheap; the ledger is parsed only when there are enough.

    Args:
        records: Those of the workers.
        answers: Job id -> checksum of the right answer.
        since_ns: Job id -> instant after which a firing counts.
        deadline_ns: End of the wait; all instants are in ns of CLOCK_MONOTONIC.

    Returns:
        Start in ns and job id of every finished firing of the jobs in `answers`.

    Raises:
        LabError: A job raised an exception or returned a wrong answer.
    """
    watcher = records.counter(range(min(answers), max(answers) + 1))
    n_read = 0
    while True:
        n, is_late = watcher.count(), time.monotonic_ns() >= deadline_ns
        # Without a new firing since the last reading, the ledger has the same content.
        if is_late or n >= max(n_read + 1, len(since_ns)):
            runs = _runs(records.fetch(), answers)
            n_read = n
            fired = {job for start, job in runs if job in since_ns and start >= since_ns[job]}
            if is_late or fired == since_ns.keys():
                return runs
        time.sleep(LOOK_S)


def _runs(ledger: Path, answers: Mapping[int, int]) -> list[tuple[int, int]]:
    runs = [
        run
        for path in ledger.glob("*.bin")
        for run in executions(path)[1]
        if run.task_id in answers and run.finished_ns
    ]
    # Raised at once: a wait for more firings would only delay the reason.
    if any(run.outcome != OK or run.answer != answers[run.task_id] for run in runs):
        raise LabError(
            "A job raised an exception or returned a wrong answer. See the log of the worker."
        )
    return [(run.started_ns, run.task_id) for run in runs]
