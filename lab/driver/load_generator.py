"""Submits the tasks of a trial to a backend, and records the instants in the journal.

Every phase of a trial plans its journal rows first, so that only instants are stored between two
submit calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import Any

from lab.core.backend import Backend
from lab.core.errors import LabError
from lab.core.model import (
    Arrival,
    Capability,
    Chain,
    FanOut,
    Job,
    Priority,
    Retry,
    RoundTrip,
    Task,
)
from lab.driver import pacing
from lab.planning.phases import Phase
from lab.worker.ledger import ACCEPTED, ACK, ERROR, T0, T1, T2, T5, Journal

Submit = Callable[[Task], Any]

# How many handles a phase keeps, and how many of them are read when tasks do not finish.
HANDLES, RESULTS = 100, 5


class LoadGenerator:
    """Submits tasks to one backend.

    accepted: number of tasks that the backend accepted from this process.
    error: first error of a submit call; empty if there was none.
    most_handles, handles: by task id, the handles of the first `most_handles` accepted tasks and of
        the last one, to read the error of a task that does not finish. Keeping all of them would
        use memory that the backend needs.
    """

    def __init__(self, backend: Backend, promised: frozenset[Capability], journal: Journal) -> None:
        self.backend, self.promised, self.journal = backend, promised, journal
        self.accepted = 0
        self.error = ""
        self.handles: dict[int, Any] = {}
        self.most_handles = HANDLES
        self._offered: tuple[Sequence[Task], Sequence[int]] = (), ()
        self._scheduled: dict[int, Any] = {}

    def offer(
        self,
        phase: Phase,
        tasks: Sequence[Task],
        instants: Sequence[int],
        submit: Submit | None = None,
    ) -> None:
        """Offer each task at its instant.

        One batch call submits all tasks if the backend has one, all instants are equal, and
        `submit`, a function that replaces `Backend.submit`, is not given.
        """
        rows = self.journal.plan([task.id for task in tasks], phase.number, instants)
        self.offer_rows(tasks, rows, instants, submit)

    def offer_rows(
        self,
        tasks: Sequence[Task],
        rows: Sequence[int],
        instants: Sequence[int],
        submit: Submit | None = None,
    ) -> None:
        """Offer tasks, as `offer` does, whose rows are in the journal already."""
        self._offered = tasks, rows
        is_one_call = Capability.BATCH in self.promised and instants[:1] == instants[-1:]
        if is_one_call and submit is None:
            if tasks:
                self._offer_all(tasks, rows)
            return
        submit = submit or self.backend.submit
        # Locals: a look-up of an attribute between two submit calls would be the lab's cost.
        now, words, handles = time.monotonic_ns, self.journal.words, dict[int, Any]()
        self.handles, most_handles = handles, self.most_handles
        last = handle = None
        for task, row, _ in zip(tasks, rows, pacing.pace(instants), strict=True):
            words[row + T1] = now()
            try:
                handle = submit(task)
            except Exception as error:  # noqa: BLE001 (the checker counts refused tasks, M28)
                words[row + T2] = now()
                words[row + ACK] = ERROR
                self.error = self.error or sentence(error)
            else:
                words[row + T2] = now()
                words[row + ACK] = ACCEPTED
                self.accepted += 1
                last = task
                if self.accepted <= most_handles:
                    handles[task.id] = handle
        if last is not None:
            handles[last.id] = handle

    def start(self) -> None:
        """Start what else submits tasks of the trial: nothing."""

    def stop(self) -> None:
        """Stop what else submits tasks of the trial: nothing."""

    def forget(self) -> None:
        """Count accepted tasks from 0 on."""
        self.accepted = 0

    @property
    def n_accepted(self) -> int:
        """The number of tasks of the last `offer` that were accepted so far, by all drivers."""
        return self.accepted

    @property
    def acknowledged(self) -> set[int]:
        """The tasks of the last `offer` that the backend has accepted so far."""
        words, (tasks, rows) = self.journal.words, self._offered
        return {t.id for t, row in zip(tasks, rows, strict=True) if words[row + ACK] == ACCEPTED}

    def failure_of(self, unfinished: Container[int], timeout_s: float) -> str:
        """Return the first error that the backend reports for unfinished tasks; empty if none.

        Reads the results of at most `RESULTS` unfinished tasks, and waits up to `timeout_s`
        seconds for each.
        """
        if Capability.RESULT not in self.promised:
            return ""
        pending = [handle for task_id, handle in self.handles.items() if task_id in unfinished]
        # A few are enough for a reason, and each may take the whole timeout.
        for handle in pending[:RESULTS]:
            try:
                self.backend.result(handle, timeout_s)
            except TimeoutError:
                continue
            except Exception as error:  # noqa: BLE001 (an error of any type is the answer)
                return sentence(error)
        return ""

    def _offer_all(self, tasks: Sequence[Task], rows: Sequence[int]) -> None:
        words = self.journal.words
        t1 = time.monotonic_ns()
        for row in rows:
            words[row + T1] = t1
        acknowledged = ERROR
        try:
            self.backend.submit_all(tasks)
            acknowledged = ACCEPTED
            self.accepted += len(tasks)
        except Exception as error:  # noqa: BLE001 (the one call failed for all of them)
            self.error = self.error or sentence(error)
        t2 = time.monotonic_ns()
        for row in rows:
            # The acknowledgement is last: after a kill here, no accepted row lacks its instants.
            words[row + T2], words[row + ACK] = t2, acknowledged

    def offer_sparsely(self, phase: Phase, tasks: Sequence[Task], marks: Sequence[int]) -> int:
        """Offer a burst, and record only the tasks at the indexes `marks`, which include the last.

        Returns:
            The start of the burst, which is the intended start of all its tasks; ns of
            CLOCK_MONOTONIC.
        """
        # Replaced by the start of the burst below: the checker ignores a row without an instant.
        instants = [time.monotonic_ns()] * len(marks)
        rows = self.journal.plan([tasks[mark].id for mark in marks], phase.number, instants)
        now, words, submit = time.monotonic_ns, self.journal.words, self.backend.submit
        # Errors are not caught: a burst with a refused task has no rate, so the trial fails.
        next_index = 0
        begin = now()
        if Capability.BATCH in self.promised:
            self.backend.submit_all(tasks)
            accepted = now()
            for row in rows:
                words[row + T1], words[row + T2] = begin, accepted
        else:
            for mark, row in zip(marks, rows, strict=True):
                for task in tasks[next_index:mark]:
                    submit(task)
                words[row + T1] = now()
                submit(tasks[mark])
                words[row + T2] = now()
                next_index = mark + 1
        for row in rows:
            words[row + T0], words[row + ACK] = begin, ACCEPTED
        return begin

    def in_turn(
        self, tasks: Sequence[Task], arrival: RoundTrip | FanOut | Chain, timeout_s: float
    ) -> None:
        """Offer tasks, groups or chains, each after the result of the previous one."""
        if isinstance(arrival, RoundTrip):
            self._round_trips(tasks, timeout_s)
        elif isinstance(arrival, FanOut):
            self._parts(tasks, arrival.width, self.backend.submit_group, timeout_s)
        else:
            self._parts(tasks, arrival.length, self.backend.submit_chain, timeout_s)

    def _round_trips(self, tasks: Sequence[Task], timeout_s: float) -> None:
        """Offer one task at a time, and wait for its result with the backend's result call."""
        submit, result = self.backend.submit, self.backend.result
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan(
            [task.id for task in tasks], Phase.MEASURE.number, [0] * len(tasks)
        )
        for task, row in zip(tasks, rows, strict=True):
            # A closed loop has no schedule, so the intended start is the start of the call.
            words[row + T0] = words[row + T1] = now()
            handle = submit(task)
            words[row + T2] = now()
            words[row + ACK] = ACCEPTED
            self.accepted += 1
            result(handle, timeout_s)
            words[row + T5] = now()

    def _parts(
        self,
        tasks: Sequence[Task],
        size: int,
        submit: Callable[[Sequence[Task]], Any],
        timeout_s: float,
    ) -> None:
        """Offer groups or chains of `size` tasks, and wait for each with `Backend.join`.

        All tasks of a group or chain have the same instants: t1 and t2 are the start and end of
        its submit call, t5 is the end of its join.
        """
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan(
            [task.id for task in tasks], Phase.MEASURE.number, [0] * len(tasks)
        )
        for first in range(0, len(tasks), size):
            part = tasks[first : first + size]
            part_rows = rows[first : first + size]
            begin = now()
            for row in part_rows:
                words[row + T0] = words[row + T1] = begin
            handle = submit(part)
            accepted = now()
            for row in part_rows:
                words[row + T2], words[row + ACK] = accepted, ACCEPTED
            self.accepted += len(part)
            self.backend.join(handle, timeout_s)
            joined = now()
            for row in part_rows:
                words[row + T5] = joined

    def jobs(self, phase: Phase, jobs: Sequence[Job], begin_ns: int) -> None:
        """Schedule every job, unless the backend read the jobs when it started."""
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan([job.id for job in jobs], phase.number, [begin_ns] * len(jobs))
        for job, row in zip(jobs, rows, strict=True):
            if Capability.RESCHEDULE in self.promised:
                words[row + T1] = now()
                self._scheduled[row] = self.backend.schedule(job)
                words[row + T2] = now()
            words[row + ACK] = ACCEPTED

    def no_more_jobs(self) -> None:
        """Remove every scheduled job, and store the instant of its removal as t5."""
        while self._scheduled:
            # Emptied, because `prove_scheduler` schedules and removes one job after another.
            row, handle = self._scheduled.popitem()
            self.backend.unschedule(handle)
            self.journal.words[row + T5] = time.monotonic_ns()


def submit_call(backend: Backend, arrival: Arrival, tasks: Sequence[Task]) -> Submit | None:
    """Return the submit call of an arrival; None if it is `Backend.submit`."""
    if isinstance(arrival, Retry):
        return lambda task: backend.submit_retrying(task, arrival.delay_s)
    if isinstance(arrival, Priority):
        first_urgent = tasks[-arrival.n_urgent].id
        return lambda task: backend.submit_with_priority(task, urgent=task.id >= first_urgent)
    return None


def sentence(error: BaseException) -> str:
    """Format an exception as one line, without the type if it is a `LabError`."""
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, LabError) else f"{type(error).__name__}: {text}"[:300]
