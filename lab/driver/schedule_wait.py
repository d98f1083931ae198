"""Waits for what a system's scheduler does; nothing polls the system, the ledger tells of runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.core import fire_times
from lab.core.errors import LabError
from lab.core.model import Arrival, Idle, Job, Paced, Periodic
from lab.host import wall_clock
from lab.recording.ledger_reader import LOOK_S, Watcher, executions
from lab.worker.ledger import OK

# The wall clock is read this often beside CLOCK_MONOTONIC (METHOD M26).
MINUTE_S = 60.0
# A scheduler may look for new jobs this seldom.
PATIENCE_S = 60.0
GRACE_S = 5.0


def first_run_s(arrival: Periodic) -> float:
    """Return how long the first run of a job may take to come."""
    return PATIENCE_S + fire_times.period_s(arrival)


def longest_s(arrival: Arrival) -> float:
    """Return how long a window may last until the last task is offered, or the last job is kept.

    Of jobs that is the first run, the occurrences, and a period of grace.
    """
    if isinstance(arrival, Periodic):
        return first_run_s(arrival) + fire_times.window_s(arrival)
    if isinstance(arrival, Paced):
        return arrival.n_tasks / arrival.rate_hz
    return arrival.seconds if isinstance(arrival, Idle) else 0.0


@dataclass(frozen=True)
class Appointments:
    """The jobs of a trial; `answers` holds the checksum of each one's right answer."""

    arrival: Periodic
    jobs: Sequence[Job]
    answers: Mapping[int, int]
    ledger: Path

    def keep(self, begin_ns: int, remove: Callable[[], None]) -> dict[str, Any]:
        """Wait until each job has kept its last occurrence, or that one's period is over.

        For `GRACE_S` after the last nominal instant a run too many is waited for as well. Where
        jobs are to be removed, `remove` then does it, and they have time to run all the same.
        Returns what the status is to hold.

        Raises:
            LabError: A job raised, or gave a wrong answer.
        """
        readings = [wall_clock.read()]
        firsts = self._first_runs()
        offset_ns = wall_clock.offset_ns(readings[0])
        due = {
            job.id: fire_times.due_ns(job, first, begin_ns, self._n(first, begin_ns), offset_ns)
            for job in self.jobs
            if (first := firsts.get(job.id))
        }
        last = {job_id: fire_times.edges_ns(instants)[-2:] for job_id, instants in due.items()}
        end_ns = max((end for _, end in last.values()), default=begin_ns)
        last_ns = max((instants[-2] for instants in due.values()), default=begin_ns)
        grace_ns = min(last_ns + round(GRACE_S * 1e9), end_ns)
        while (left_s := (grace_ns - time.monotonic_ns()) / 1e9) > 0:
            time.sleep(min(left_s, MINUTE_S))
            readings.append(wall_clock.read())
        since = {job_id: begin for job_id, (begin, _) in last.items()}
        await_runs(self.ledger, self.answers, since, end_ns)
        if self.arrival.is_removed:
            remove()
            time.sleep(3 * fire_times.period_s(self.arrival))
        readings.append(wall_clock.read())
        return {"wall": readings, "reason": self._missing(firsts)}

    def _n(self, first_ns: int, begin_ns: int) -> int:
        """Return how many occurrences to wait for.

        A more punctual run than the first may give an interval its phase later. Where the first was
        before the window, the first instant of that phase may be too, so that a later one counts.
        """
        return self.arrival.n_occurrences + (self.arrival.every_s > 0 and first_ns < begin_ns)

    def _first_runs(self) -> dict[int, int]:
        """Wait until every job has run, and return the start of each one's first run.

        A job that did not run in time is not among them.
        """
        deadline_ns = time.monotonic_ns() + round(first_run_s(self.arrival) * 1e9)
        since = dict.fromkeys(self.answers, 0)
        runs = await_runs(self.ledger, self.answers, since, deadline_ns)
        return {job_id: started_ns for started_ns, job_id in sorted(runs, reverse=True)}

    def _missing(self, firsts: Mapping[int, int]) -> str:
        if len(firsts) == len(self.jobs):
            return ""
        missing, within_s = len(self.jobs) - len(firsts), first_run_s(self.arrival)
        return f"{missing} of {len(self.jobs)} jobs had not run after {within_s:.0f} s."


def await_runs(
    ledger: Path, answers: Mapping[int, int], since_ns: Mapping[int, int], deadline_ns: int
) -> Sequence[tuple[int, int]]:
    """Wait until each job of `since_ns` has run since its instant there, or until the deadline.

    Runs are counted as they end, which costs next to nothing, and read when there are enough.
    Returns the start and the job of every run of those in `answers` that has ended.

    Raises:
        LabError: A job raised, or gave a wrong answer.
    """
    watcher, seen = Watcher(ledger, range(min(answers), max(answers) + 1)), 0
    while True:
        n, is_late = watcher.count(), time.monotonic_ns() >= deadline_ns
        if is_late or n >= max(seen + 1, len(since_ns)):
            runs, seen = _runs(ledger, answers), n
            now = {job for start, job in runs if job in since_ns and start >= since_ns[job]}
            if is_late or now == since_ns.keys():
                return runs
        time.sleep(LOOK_S)


def _runs(ledger: Path, answers: Mapping[int, int]) -> list[tuple[int, int]]:
    runs = [
        run
        for path in ledger.glob("*.bin")
        for run in executions(path)[1]
        if run.task_id in answers and run.finished_ns
    ]
    if any(run.outcome != OK or run.answer != answers[run.task_id] for run in runs):
        raise LabError("A job raised or gave a wrong answer: the worker's log has more.")
    return [(run.started_ns, run.task_id) for run in runs]
