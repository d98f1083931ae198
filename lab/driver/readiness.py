"""Proves that every worker slot of a cluster runs tasks correctly, before the trial continues.

As many waiting tasks as there are worker slots must overlap in the ledger. This works for threads,
processes and coroutines, and detects a missing or wrong worker. The same tasks compare the clocks
(METHOD M14): none may start before it was submitted, or finish after it was seen to finish. For a
backend that takes jobs but no tasks, a scheduled job must run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from lab.core.errors import LabError
from lab.core.model import Job, Task, Topology
from lab.driver.load_generator import LoadGenerator
from lab.driver.schedule_wait import await_runs
from lab.driver.worker_records import WorkerRecords
from lab.planning.phases import Phase
from lab.planning.tasks import right_answer
from lab.recording.ledger_reader import Completions, Execution, executions, unfinished
from lab.worker.ledger import time_namespace

WAIT_US = 30_000
LONGEST_WAIT_US = 500_000
DEADLINE_S = 120.0  # RabbitMQ boots in 10 s, on a busy machine in a minute
ROUNDS = 12
MOST_FOR_A_WORKER = 16
# Seconds between reads of the results of unfinished tasks, and the timeout of each read.
CHECK_S, RESULT_S = 10.0, 1.0
# Twice the time that the slowest scheduler needs to find a new job.
TRY_S = 10.0


def round_size(number: int, workers: int) -> tuple[int, int]:
    """Return the number of tasks of round `number`, and how long each waits, microseconds.

    Each round has more and longer tasks, because one worker may take several of them: it prefetches
    (some nodes take ten at a time), or others are still starting.
    """
    return workers * min(1 << number, MOST_FOR_A_WORKER), min(WAIT_US << number, LONGEST_WAIT_US)


def most_tasks(workers: int) -> int:
    """Return the number of tasks of all rounds together."""
    return sum(round_size(number, workers)[0] for number in range(ROUNDS))


def prove(
    offering: LoadGenerator,
    module: ModuleType,
    make: Callable[..., list[Task]],
    records: WorkerRecords,
    topology: Topology,
) -> None:
    """Offer rounds of waiting tasks, until the ledger proves every worker slot.

    Args:
        offering: Submits the tasks.
        module: The workload of the tasks.
        make: Returns tasks; takes their number `n`, their wait `size` in microseconds, and the
            number `skip` of tasks made before.
        records: Those of the workers.
        topology: Nodes and worker slots to prove.

    Raises:
        LabError: The backend refuses tasks, or not all of its workers ran a task at one instant.
    """
    backend = offering.backend
    deadline = time.monotonic() + DEADLINE_S
    skip = 0
    for number in range(ROUNDS):
        n, wait_us = round_size(number, backend.workers)
        tasks = make(n=n, size=wait_us, skip=skip)
        skip += n
        # The ids of the verify phase begin at 0, so `skip` is also the id after the last task.
        watcher = records.counter(range(tasks[0].id, skip))
        sent = time.monotonic_ns()
        offering.offer(Phase.VERIFY, tasks, [sent] * n)
        if offering.error:
            raise LabError(f"The backend refused a task of the verify phase. {offering.error}")
        _await(offering, tasks, watcher, records, deadline)
        answers = {task.id: right_answer(module, task, executes=backend.executes) for task in tasks}
        ledger = records.fetch()
        earliest = sent - records.bound_ns
        if is_proven(ledger, answers, earliest, time.monotonic_ns(), topology):
            return
        if time.monotonic() > deadline:
            break
    raise LabError(
        f"The {backend.workers} workers did not all run a task at the same time in the verify "
        "phase. See the logs folder of this trial."
    )


def _await(
    offering: LoadGenerator,
    tasks: Sequence[Task],
    watcher: Completions,
    records: WorkerRecords,
    deadline: float,
) -> None:
    """Wait until all tasks have finished, or until the deadline.

    Raises:
        LabError: The backend reports that an unfinished task has failed.
    """
    check_at = time.monotonic() + CHECK_S
    while watcher.count() < len(tasks) and time.monotonic() < deadline:
        time.sleep(0.002)
        if time.monotonic() > check_at:
            pending = unfinished(records.fetch(), [task.id for task in tasks])
            if error := offering.failure_of(pending, RESULT_S):
                raise LabError(f"A task of the verify phase failed. {error}")
            check_at = time.monotonic() + CHECK_S


def prove_scheduler(
    offering: LoadGenerator,
    module: ModuleType,
    make: Callable[..., list[Task]],
    records: WorkerRecords,
) -> None:
    """Schedule one job after another, each for `TRY_S` seconds, until one has run.

    More than one, because a scheduler that is still starting may miss a job for ever:
    django-celery-beat reads the jobs before the time of their last change. Each job is removed
    again. The jobs belong to the warm-up phase: the first firing comes after a period and shows
    nothing about a cold start.

    Raises:
        LabError: No job ran in time, a job raised, or its answer is wrong.
    """
    every_s = offering.backend.finest_period_s
    for number in range(round(DEADLINE_S / TRY_S)):
        (task,) = make(n=1, size=WAIT_US, skip=number)
        job = Job(task.id, task.function, task.argument, every_s)
        answers = {job.id: right_answer(module, job, executes=offering.backend.executes)}
        begin = time.monotonic_ns()
        offering.jobs(Phase.WARM_UP, [job], begin)
        deadline_ns = begin + round((every_s + TRY_S) * 1e9)
        has_run = await_runs(records, answers, {job.id: begin}, deadline_ns)
        offering.no_more_jobs()
        if has_run:
            return
    raise LabError(
        f"No scheduled job ran within {DEADLINE_S:.0f} s. See the logs folder of this trial."
    )


def is_proven(
    ledger: Path, answers: Mapping[int, int], sent_ns: int, seen_ns: int, topology: Topology
) -> bool:
    """Return whether the tasks of `answers` (id to right answer) prove every worker slot.

    Raises:
        LabError: An answer is wrong, clocks disagree, or a worker is in another time namespace.
    """
    verified: list[Execution] = []
    nodes = set()
    for path in ledger.glob("*.bin"):
        header, records = executions(path)
        of_tasks = [record for record in records if record.task_id in answers]
        # Checked first: instants of two time namespaces cannot be compared at all.
        if of_tasks and header.time_namespace != time_namespace():
            raise LabError("A worker is in another time namespace: clocks cannot be compared.")
        verified += of_tasks
        nodes |= {header.node for _ in of_tasks}
    if any(r.started_ns < sent_ns or r.finished_ns > seen_ns for r in verified):
        raise LabError(
            "Clocks disagree: a task started before it was sent, or ended after it was seen to end."
        )
    if any(r.finished_ns and r.answer != answers[r.task_id] for r in verified):
        raise LabError("A worker gave a wrong answer in the verify phase.")
    # A task that still runs occupies its slot, so it counts until now.
    spans = [(r.started_ns, r.finished_ns or seen_ns) for r in verified]
    # The overlap alone does not show that every node has workers: one node may have taken all.
    return most_at_once(spans) >= topology.workers and len(nodes) == topology.nodes


def most_at_once(spans: Sequence[tuple[int, int]]) -> int:
    """Return the largest number of spans (begin, end) that overlap at one instant."""
    # At one instant, ends (-1) sort before begins (1): tasks one after the other do not overlap.
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most
