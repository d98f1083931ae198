"""Offers a burst again without instrumentation, if recording has lowered its rate (METHOD M19).

The tasks of an uninstrumented burst have ids that the kernel (`lab.kernel`) does not record, except
for evenly spaced markers. A marker's finish is taken as the finish of all tasks submitted before
it; this assumes that tasks finish approximately in the order of submission. If the markers
alone would lower the rate, a third burst repeats the tasks many times, with as many markers.

Outcomes and waits come from the recorded burst, its length from the uninstrumented burst, and its
rate from the last burst.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.core.errors import LabError
from lab.core.model import Task
from lab.driver.load_generator import LoadGenerator, sentence
from lab.driver.worker_records import WorkerRecords
from lab.planning.phases import UNINSTRUMENTED, Phase
from lab.planning.tasks import freeze_gc
from lab.recording.ledger_reader import executions, task_errors
from lab.worker.ledger import NO_RECORD, OK

# As many as throughput needs, and one in a hundred tasks of a larger burst.
FEWEST_MARKS, TASKS_A_MARK = 20, 100
# Half of the overhead that METHOD M19 allows. The repeated burst aims far lower, because the rate
# of a short burst is a poor prediction for a long one.
LOWERED, AIM = 0.01, 0.001
# Limits of a repeated burst; the inline loop runs ten thousand tasks in a millisecond.
LONGEST_NS, MOST_REPEATED = 200_000_000, 100_000
AGAIN = "In the uninstrumented burst"


def n_marks(n_tasks: int) -> int:
    """Return the number of markers of a burst; 0 if it is too small."""
    return max(FEWEST_MARKS, n_tasks // TASKS_A_MARK) if n_tasks >= 2 * FEWEST_MARKS else 0


def offer_again(
    offering: LoadGenerator,
    tasks: Sequence[Task],
    records: WorkerRecords,
    instrumentation_ns: float | None,
    deadline_s: float,
) -> str:
    """Offer a burst again without instrumentation, if recording has lowered its rate.

    Args:
        offering: Submits the tasks; it has offered the burst, and all its tasks have finished.
        tasks: The tasks of the burst.
        records: Those of the workers.
        instrumentation_ns: Instrumentation cost of a task; None: unknown, and nothing is offered.
        deadline_s: Longest wait for the markers.

    Returns:
        The reason why a burst did not finish; empty if all did, or if none was offered.

    Raises:
        LabError: A task was refused or raised, so that the rate is not that of the work.
    """
    marks = n_marks(len(tasks))
    if instrumentation_ns is None or not marks:
        return ""
    ledger = records.fetch()
    recorded = _finished_ns(ledger, Phase.MEASURE)
    if len(recorded) < len(tasks):
        return ""
    times = 1
    # A system that forks for each task has a file for each, but no more at once than slots.
    processes = min(_writers(ledger), offering.backend.workers)
    overhead = overhead_of_recording(recorded, processes, instrumentation_ns)
    for phase in UNINSTRUMENTED:
        if overhead <= LOWERED or (phase == Phase.REPEATED and times == 1):
            break
        again, places = with_marked_tasks([*tasks] * times, marks, phase)
        begin_ns = _offered(offering, phase, again, places)
        records.counter(phase.ids).reaches(marks, deadline_s)
        ledger = records.fetch()
        # Before the markers are counted: an exception is the better reason for a missing one.
        _check(ledger)
        if len(finished_ns := _finished_ns(ledger, phase)) < marks:
            return "The uninstrumented burst did not finish."
        overhead = overhead_of_recording(finished_ns, processes, instrumentation_ns)
        times = _times(overhead, finished_ns[-1] - begin_ns, len(tasks))
    return ""


def _times(overhead: float, took_ns: int, n_tasks: int) -> int:
    """Return how many times to repeat a burst whose markers lowered its rate by `overhead`."""
    most = min(LONGEST_NS // max(1, took_ns), MOST_REPEATED // n_tasks)
    return max(1, math.ceil(min(overhead / AIM, most)))


def _offered(
    offering: LoadGenerator, phase: Phase, tasks: Sequence[Task], places: Sequence[int]
) -> int:
    """Offer a burst with markers at `places`; return its start, ns of CLOCK_MONOTONIC."""
    freeze_gc()
    try:
        return offering.offer_sparsely(phase, tasks, places)
    except Exception as error:
        raise LabError(f"{AGAIN}, a task was refused: {sentence(error)}") from error


def _check(ledger: Path) -> None:
    """Raise the error of a task of an uninstrumented burst, if there is one."""
    for error in task_errors(ledger):
        if error.task_id >= Phase.UNRECORDED.first_task:
            raise LabError(f"{AGAIN}, a task raised {error.summary}")


def overhead_of_recording(
    finished_ns: Sequence[int], processes: int, instrumentation_ns: float
) -> float:
    """Return an upper bound of the share by which recording has lowered a rate.

    Between two recorded finishes each of the processes had its time, of which one record took
    `instrumentation_ns`: see `lab.analysis.metrics.throughput.instrumentation_overhead`.
    """
    low, high = -(-len(finished_ns) // 10) - 1, -(-9 * len(finished_ns) // 10) - 1
    work_ns = processes * (finished_ns[high] - finished_ns[low]) / (high - low) - instrumentation_ns
    return instrumentation_ns / work_ns if work_ns > 0 else math.inf


def with_marked_tasks(
    tasks: Sequence[Task], marks: int, phase: Phase
) -> tuple[list[Task], list[int]]:
    """Return the same tasks with other ids, and the indexes of the markers, which include the last.

    The id of a marker is its index plus the first id of its phase.
    """
    n, first = len(tasks), phase.first_task
    places = [(mark + 1) * n // marks - 1 for mark in range(marks)]
    again = [Task(NO_RECORD + i, task.function, task.argument) for i, task in enumerate(tasks)]
    for place in places:
        again[place] = replace(again[place], id=first + place)
    return again, places


def _finished_ns(ledger: Path, phase: Phase) -> list[int]:
    """Return the finish instants of the successful tasks of a phase, ascending."""
    records = (record for path in ledger.glob("*.bin") for record in executions(path)[1])
    ids = phase.ids
    return sorted(r.finished_ns for r in records if r.task_id in ids and r.outcome == OK)


def _writers(ledger: Path) -> int:
    """Return the number of processes that have written to a ledger, from the names of its files."""
    return len({path.name.rpartition("-")[0] for path in ledger.glob("*.bin")})
