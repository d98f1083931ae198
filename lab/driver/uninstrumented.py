"""A burst again without its record, where recording has lowered its rate (METHOD M19).

The same tasks are offered once more under numbers of which the kernel keeps no record, but for a
few marks that are spread evenly over them: when a mark has finished, so has what stands before it.
Where even the marks would lower the rate, the tasks are offered many times over, and as many marks
are spread over all. The recorded burst tells what was lost or ran twice and how long tasks waited,
the one without record its length and its rate, the one of many times its rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.core.errors import LabError
from lab.core.model import Task
from lab.driver.load_generator import Offering, sentence
from lab.planning.phases import FIRST_TASK, ids_of
from lab.planning.tasks import set_apart
from lab.recording.ledger_reader import Watcher, executions, task_errors
from lab.worker.ledger import MEASURE, NO_RECORD, OK, REPEATED, UNRECORDED

# As many as a throughput needs, and one task in a hundred of a burst that has more.
FEWEST_MARKS, TASKS_A_MARK = 20, 100
# Half of what METHOD M19 allows, so that what stays recorded is surely below it. Repeating aims far
# below that, because a short burst tells little of how quick a long one is.
LOWERED, AIM = 0.01, 0.001
# The inline loop is through with ten thousand tasks in a millisecond.
LONGEST_NS, MOST_REPEATED = 200_000_000, 100_000
AGAIN = "As the burst was offered again without record"


def n_marks(n_tasks: int) -> int:
    """Return how many marks a burst has; 0 where it is too small to have any."""
    return max(FEWEST_MARKS, n_tasks // TASKS_A_MARK) if n_tasks >= 2 * FEWEST_MARKS else 0


def offer_again(
    offering: Offering,
    tasks: Sequence[Task],
    ledger: Path,
    harness_ns: float | None,
    deadline_s: float,
) -> str:
    """Offer a burst again without record if recording has lowered its rate.

    Args:
        offering: It has offered the burst, and every task of it has finished.
        tasks: The burst.
        ledger: The folder of the workers' records.
        harness_ns: What a record costs; None: nobody knows, and nothing is offered.
        deadline_s: How long to wait for the marks.

    Returns:
        Why it did not end; empty if it did, or was not offered.

    Raises:
        LabError: A task was refused or raised: a rate of such tasks is not that of the work.
    """
    marks, times = n_marks(len(tasks)), 1
    recorded = _finished_ns(ledger, MEASURE)
    if harness_ns is None or not marks or len(recorded) < len(tasks):
        return ""
    processes = min(_writers(ledger), offering.backend.workers)
    by = lowered_by(recorded, processes, harness_ns)
    for phase in (UNRECORDED, REPEATED):
        if by <= LOWERED or (phase == REPEATED and times == 1):
            break
        again, places = sparse([*tasks] * times, marks, phase)
        begin_ns = _offered(offering, phase, again, places)
        Watcher(ledger, ids_of(phase)).reaches(marks, deadline_s)
        _check(ledger)
        if len(finished_ns := _finished_ns(ledger, phase)) < marks:
            return "The burst that was offered again without record did not end."
        by = lowered_by(finished_ns, processes, harness_ns)
        times = _times(by, finished_ns[-1] - begin_ns, len(tasks))
    return ""


def _times(by: float, took_ns: int, n_tasks: int) -> int:
    """Return how many times over a burst is to be repeated that its marks have lowered `by`."""
    most = min(LONGEST_NS // max(1, took_ns), MOST_REPEATED // n_tasks)
    return max(1, math.ceil(min(by / AIM, most)))


def _offered(offering: Offering, phase: int, tasks: Sequence[Task], places: Sequence[int]) -> int:
    """Offer tasks of which few are recorded; return when the first was offered."""
    set_apart()
    try:
        return offering.offer_sparsely(phase, tasks, places)
    except Exception as error:
        raise LabError(f"{AGAIN}, a task was refused: {sentence(error)}") from error


def _check(ledger: Path) -> None:
    """Raise what a task has raised that left no record, or is a mark."""
    for error in task_errors(ledger):
        if error.task_id >= FIRST_TASK[UNRECORDED]:
            raise LabError(f"{AGAIN}, a task raised {error.said}")


def lowered_by(finished_ns: Sequence[int], processes: int, harness_ns: float) -> float:
    """Return by how much records have lowered the rate at which recorded tasks finished, at most.

    A record at `harness_ns` each took its share of what every one of so many processes had from
    one to the next: see `lab.analysis.metrics.throughput.harness_overhead`.
    """
    low, high = -(-len(finished_ns) // 10) - 1, -(-9 * len(finished_ns) // 10) - 1
    left_ns = processes * (finished_ns[high] - finished_ns[low]) / (high - low) - harness_ns
    return harness_ns / left_ns if left_ns > 0 else math.inf


def sparse(tasks: Sequence[Task], marks: int, phase: int) -> tuple[list[Task], list[int]]:
    """Return the same work under other numbers, and the places of the marks; the last is one.

    The number of a mark, less the first of its phase, is its place.
    """
    n, first = len(tasks), FIRST_TASK[phase]
    places = [(mark + 1) * n // marks - 1 for mark in range(marks)]
    again = [Task(NO_RECORD + i, task.function, task.argument) for i, task in enumerate(tasks)]
    for place in places:
        again[place] = replace(again[place], id=first + place)
    return again, places


def _finished_ns(ledger: Path, phase: int) -> list[int]:
    """Return when the tasks of a phase finished well, in order."""
    records = (record for path in ledger.glob("*.bin") for record in executions(path)[1])
    ids = ids_of(phase)
    return sorted(r.finished_ns for r in records if r.task_id in ids and r.outcome == OK)


def _writers(ledger: Path) -> int:
    """Count the processes that have written into a ledger, by the names of their files."""
    return len({path.name.rpartition("-")[0] for path in ledger.glob("*.bin")})
