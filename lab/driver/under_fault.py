"""Offers the window of a trial with a fault, waits for redeliveries, and reads the tasks' states.

A fault is part of the trial: a submit call that fails is a record, and so is a task that never
ends. The submit calls block as the client's documented defaults do, and later tasks are late by as
much, which their instants show.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lab.core.errors import LabError
from lab.core.faults import HORIZONS, Fault, FaultKind, Role
from lab.core.model import Capability, Task, TrialSpec
from lab.core.outcomes import TaskState
from lab.driver.load_generator import LoadGenerator, Submit
from lab.driver.worker_records import WorkerRecords
from lab.planning.fault_tasks import DECIDING, outlive_work_s
from lab.planning.phases import Phase
from lab.planning.redelivery import SETTLE_S
from lab.recording.ledger_reader import executions
from lab.recording.task_states import NAME
from lab.worker.ledger import OK, RAISED

# The offering ends this long, and the pauses of the fault, after the plan.
LATEST_S = 30.0
LOOK_S = 0.5
READ_S = 20.0


class _Progress(NamedTuple):
    """Acknowledged tasks that wait or run, and the number of events in the ledger."""

    waiting: set[int]
    running: set[int]
    n_events: int


class UnderFault:
    """The window of a trial with a fault.

    Attributes:
        limit_s: Seconds after which the drain ends in any case.
    """

    def __init__(
        self,
        offering: LoadGenerator,
        spec: TrialSpec,
        fault: Fault,
        records: WorkerRecords,
        folder: Path,
    ) -> None:
        self._offering, self._records, self._folder = offering, records, folder
        self._backend = offering.backend
        self.limit_s, self._fault = spec.deadline_s, fault
        if fault.kind is FaultKind.OUTLIVE:
            self.limit_s += outlive_work_s(spec)
        # Below the deadline of the driver, which would end the trial as a timeout.
        self._latest_s = min(fault.pauses_s + LATEST_S, spec.deadline_s * 0.9)
        self._is_over = threading.Event()
        records.copy_early()

    def offer(
        self,
        phase: Phase,
        tasks: Sequence[Task],
        instants: Sequence[int],
        submit: Submit | None = None,
    ) -> None:
        """Offer each task at its instant; end `LATEST_S` after the plan, even if a call blocks.

        Tasks that are not offered by then are refused. The result of a call that still blocks is
        unknown.
        """
        # All of them, because the state of every task is read after the drain (METHOD M29).
        self._offering.most_handles = len(tasks)
        is_one_call = Capability.BATCH in self._offering.promised and instants[0] == instants[-1]
        submit = None if is_one_call else self._bounded(submit or self._backend.submit)
        # In a thread, because a submit call that blocks cannot be interrupted.
        offering = ThreadPoolExecutor(1).submit(
            self._offering.offer, phase, tasks, instants, submit
        )
        left_s = (instants[-1] - time.monotonic_ns()) / 1e9
        with contextlib.suppress(TimeoutError):  # a call blocks
            offering.result(max(0.0, left_s) + self._latest_s)
        self._is_over.set()

    def _bounded(self, submit: Submit) -> Submit:
        def submit_in_time(task: Task) -> Any:
            if self._is_over.is_set():
                limit = f"{self._latest_s:g} s after the end of the plan"
                raise LabError(f"Not offered: an earlier submit call returned later than {limit}.")
            return submit(task)

        return submit_in_time

    def drain(self) -> None:
        """Wait until all acknowledged tasks have ended, or none of the others can be expected.

        That is the case after `HORIZONS` redelivery horizons without progress. A worker that was
        away with its server may finish a task that is delivered again, so that wait is whole.
        """
        begin = changed = time.monotonic()
        n_events, again_s = -1, self._again_s()
        while True:
            progress, now = self._progress(), time.monotonic()
            if not (progress.waiting or progress.running) and now - begin >= again_s:
                return
            if progress.n_events != n_events:
                n_events, changed = progress.n_events, now
            if now - begin > self.limit_s or now - changed > max(
                again_s, self._patience_s(progress)
            ):
                return
            time.sleep(LOOK_S)

    def _again_s(self) -> float:
        """Return how long a task that has ended may be delivered again; 0 after most faults."""
        has_separated = self._fault.heal_s > 0 or self._fault.kind.role is Role.BROKER
        horizon_s = self._backend.redelivery_horizon_s(
            self._backend.setup.settings, is_started=True
        )
        return self._fault.pauses_s + HORIZONS * horizon_s if has_separated and horizon_s else 0.0

    def _patience_s(self, progress: _Progress) -> float:
        horizon, settings = self._backend.redelivery_horizon_s, self._backend.setup.settings
        horizons = [
            HORIZONS * (horizon(settings, is_started=is_started) or 0.0)
            for is_started, task_ids in ((False, progress.waiting), (True, progress.running))
            if task_ids
        ]
        return self._fault.pauses_s + max([SETTLE_S, *horizons])

    def _progress(self) -> _Progress:
        started, ended, finished = Counter[int](), Counter[int](), Counter[int]()
        for path in self._records.fetch().glob("*.bin"):
            for record in executions(path)[1]:
                started[record.task_id] += 1
                ended[record.task_id] += bool(record.finished_ns)
                # One that was cancelled may be delivered again, as one that was killed.
                finished[record.task_id] += record.outcome in (OK, RAISED)
        missing = {task_id for task_id in self._offering.acknowledged if not finished[task_id]}
        running = missing & started.keys()
        if self._fault.kind is FaultKind.OUTLIVE:
            # No process is killed, so each execution that began also ends. After other faults, one
            # that was interrupted has no end.
            running |= {i for i in ended if ended[i] < min(started[i], DECIDING)}
        return _Progress(missing - running, running, started.total() + ended.total())

    def read_states(self) -> None:
        """Write the state of each task into `NAME`: first of the missing, then of the others.

        A state that the backend does not report within `READ_S` for all tasks is not in the file.
        """
        states: dict[int, str] = {}
        progress, handles = self._progress(), self._offering.handles
        missing = [task_id for task_id in handles if task_id in progress.waiting | progress.running]
        reading = threading.Thread(
            target=self._read, args=([*missing, *handles], handles, states), daemon=True
        )
        reading.start()
        reading.join(READ_S)
        # A copy: the reading thread may still add to it.
        (self._folder / NAME).write_text(json.dumps(states.copy()), encoding="utf-8")

    def _read(
        self, task_ids: Sequence[int], handles: dict[int, Any], states: dict[int, str]
    ) -> None:
        for task_id in task_ids:
            if task_id not in states:
                states[task_id] = _state(self._backend.state_of, handles[task_id])


def _state(state_of: Callable[[Any], TaskState], handle: Any) -> str:
    try:
        return str(state_of(handle))
    except Exception:  # noqa: BLE001 (the server may be away, and each client has its exceptions)
        return TaskState.UNKNOWN
