"""Offers tasks to a system, and writes down in the journal what was offered when.

Every phase of a trial offers in the same way: planned rows first, so that between two submit calls
only instants are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import Any

from lab import arrivals
from lab.backend import Backend
from lab.errors import LabError
from lab.ledger import ACCEPTED, ACK, ERROR, MEASURE, T0, T1, T2, T5, Journal
from lab.model import Arrival, Capability, Chained, FanOut, Job, Ranked, Retried, RoundTrip, Task

Submit = Callable[[Task], Any]

# Handles that are held until a phase has ended, and results that are read of those unfinished.
HANDLES, RESULTS = 100, 5


class Offering:
    """Hands tasks to one backend; `accepted` counts those it took, `error` is its first refusal.

    `handles` are those of the first tasks by number, and of the last that was accepted: where some
    never end, the system may say why. All of them would be memory that the system has to share.
    """

    def __init__(self, backend: Backend, promised: frozenset[Capability], journal: Journal) -> None:
        self.backend, self.promised, self.journal = backend, promised, journal
        self.accepted = 0
        self.error = ""
        self.handles: dict[int, Any] = {}
        self._scheduled: dict[int, Any] = {}

    def offer(
        self,
        phase: int,
        tasks: Sequence[Task],
        instants: Sequence[int],
        submit: Submit | None = None,
    ) -> None:
        """Offer tasks at their instants, all at once where instants are equal and it can.

        Where `submit` is given, it is how each is handed over.
        """
        rows = self.journal.plan([task.id for task in tasks], phase, instants)
        is_one_call = Capability.BATCH in self.promised and instants[:1] == instants[-1:]
        if is_one_call and submit is None:
            if tasks:
                self._offer_all(tasks, rows)
            return
        submit = submit or self.backend.submit
        now, words, handles = time.monotonic_ns, self.journal.words, dict[int, Any]()
        last = handle = None
        for task, row, _ in zip(tasks, rows, arrivals.pace(instants), strict=True):
            words[row + T1] = now()
            try:
                handle = submit(task)
            except Exception as error:  # noqa: BLE001 (refused: the checker counts it, M28)
                words[row + T2] = now()
                words[row + ACK] = ERROR
                self.error = self.error or sentence(error)
            else:
                words[row + T2] = now()
                words[row + ACK] = ACCEPTED
                self.accepted += 1
                last = task
                if self.accepted <= HANDLES:
                    handles[task.id] = handle
        if last is not None:
            handles[last.id] = handle
        self.handles = handles

    def failure_of(self, unfinished: Container[int], timeout_s: float) -> str:
        """Return what the system says of a task that does not end; empty where it says nothing.

        It is the first failure among the results of a few such tasks, for each of which it may
        take `timeout_s`.
        """
        if Capability.RESULT not in self.promised:
            return ""
        left = [handle for task_id, handle in self.handles.items() if task_id in unfinished]
        for handle in left[:RESULTS]:
            try:
                self.backend.result(handle, timeout_s)
            except TimeoutError:
                continue
            except Exception as error:  # noqa: BLE001 (whatever the system says is the finding)
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
        except Exception as error:  # noqa: BLE001 (one call: it was refused for all of them)
            self.error = self.error or sentence(error)
        t2 = time.monotonic_ns()
        for row in rows:
            words[row + T2], words[row + ACK] = t2, acknowledged

    def offer_sparsely(self, phase: int, tasks: Sequence[Task], marks: Sequence[int]) -> int:
        """Offer tasks at once, and write down no more than the instants of those at `marks`.

        The last is one of them. All are intended for the instant at which the first is offered;
        that is returned.
        """
        # Intended for now, until the instant is known: a row without one counts as never planned.
        instants = [time.monotonic_ns()] * len(marks)
        rows = self.journal.plan([tasks[mark].id for mark in marks], phase, instants)
        now, words, submit = time.monotonic_ns, self.journal.words, self.backend.submit
        next_one, begin = 0, now()
        if Capability.BATCH in self.promised:
            self.backend.submit_all(tasks)
            accepted = now()
            for row in rows:
                words[row + T1], words[row + T2] = begin, accepted
        else:
            for mark, row in zip(marks, rows, strict=True):
                for task in tasks[next_one:mark]:
                    submit(task)
                words[row + T1] = now()
                submit(tasks[mark])
                words[row + T2] = now()
                next_one = mark + 1
        for row in rows:
            words[row + T0], words[row + ACK] = begin, ACCEPTED
        return begin

    def in_turn(
        self, tasks: Sequence[Task], arrival: RoundTrip | FanOut | Chained, timeout_s: float
    ) -> None:
        """Offer tasks, groups or chains, each when the one before has come back."""
        if isinstance(arrival, RoundTrip):
            self._round_trips(tasks, timeout_s)
        elif isinstance(arrival, FanOut):
            self._parts(tasks, arrival.width, self.backend.submit_group, timeout_s)
        else:
            self._parts(tasks, arrival.length, self.backend.submit_chain, timeout_s)

    def _round_trips(self, tasks: Sequence[Task], timeout_s: float) -> None:
        """Offer one task at a time, and wait for its result by the system's own call."""
        submit, result = self.backend.submit, self.backend.result
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan([task.id for task in tasks], MEASURE, [0] * len(tasks))
        for task, row in zip(tasks, rows, strict=True):
            # Each is offered when the one before has come back, so intended is when it is sent.
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
        """Offer groups or chains of `size` tasks, each joined by the system's own means.

        All tasks of one have its instants: t1 and t2 are those of the one call, t5 is its join's.
        """
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan([task.id for task in tasks], MEASURE, [0] * len(tasks))
        for first in range(0, len(tasks), size):
            part, own = tasks[first : first + size], rows[first : first + size]
            begin = now()
            for row in own:
                words[row + T0] = words[row + T1] = begin
            handle = submit(part)
            accepted = now()
            for row in own:
                words[row + T2], words[row + ACK] = accepted, ACCEPTED
            self.accepted += len(part)
            self.backend.join(handle, timeout_s)
            seen = now()
            for row in own:
                words[row + T5] = seen

    def jobs(self, phase: int, jobs: Sequence[Job], begin_ns: int) -> None:
        """Have every job scheduled; a system that knew them as it started is not called again."""
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan([job.id for job in jobs], phase, [begin_ns] * len(jobs))
        for job, row in zip(jobs, rows, strict=True):
            if Capability.RESCHEDULE in self.promised:
                words[row + T1] = now()
                self._scheduled[row] = self.backend.schedule(job)
                words[row + T2] = now()
            words[row + ACK] = ACCEPTED

    def no_more_jobs(self) -> None:
        """Have every job removed; what was t5, the result's instant, is when that was done."""
        while self._scheduled:
            row, handle = self._scheduled.popitem()
            self.backend.unschedule(handle)
            self.journal.words[row + T5] = time.monotonic_ns()


def way(backend: Backend, arrival: Arrival, tasks: Sequence[Task]) -> Submit | None:
    """Return the call by which an arrival hands tasks over, None where it is the usual one."""
    if isinstance(arrival, Retried):
        return lambda task: backend.submit_retrying(task, arrival.delay_s)
    if isinstance(arrival, Ranked):
        first_urgent = tasks[-arrival.n_urgent].id
        return lambda task: backend.submit_with_priority(task, urgent=task.id >= first_urgent)
    return None


def sentence(error: BaseException) -> str:
    """Write what was raised as one line."""
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, LabError) else f"{type(error).__name__}: {text}"[:300]
