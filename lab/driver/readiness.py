"""Proves that a cluster is ready: every worker of every node has answered a real task correctly.

As many waiting tasks as there are workers must overlap in the ledger. That holds for threads,
forks and coroutines alike, and a worker that is missing or wrong cannot hide. The same tasks are
the clock handshake (METHOD M14): none may start before it was sent or end after it was seen to.
Of a system that takes jobs and no tasks, it proves that its scheduler heeds what it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from lab.core.errors import LabError
from lab.core.model import Job, Task, Topology
from lab.driver.load_generator import Offering
from lab.driver.schedule_wait import await_runs
from lab.planning.tasks import right_answer
from lab.recording.ledger_reader import Execution, Watcher, executions, unfinished
from lab.worker.ledger import VERIFY, WARM_UP, time_namespace

WAIT_US = 30_000
LONGEST_WAIT_US = 500_000
DEADLINE_S = 120.0  # RabbitMQ takes 10 s to boot, and a minute where others use the machine
ROUNDS = 12
MOST_FOR_A_WORKER = 16
# How often the system is asked what became of tasks that do not end, and how long each may take.
ASK_S, RESULT_S = 10.0, 1.0
# Twice as long as the slowest scheduler here takes to find a new job.
TRY_S = 10.0


def round_size(number: int, workers: int) -> tuple[int, int]:
    """Return how many tasks, and how long they wait in microseconds, in round `number`.

    One worker may take several tasks, by prefetching or because others are still starting: so
    each round has more tasks, and longer ones. A node that takes ten at a time must leave some.
    """
    return workers * min(1 << number, MOST_FOR_A_WORKER), min(WAIT_US << number, LONGEST_WAIT_US)


def most_tasks(workers: int) -> int:
    """Return how many tasks all rounds have together."""
    return sum(round_size(number, workers)[0] for number in range(ROUNDS))


def prove(
    offering: Offering,
    module: ModuleType,
    make: Callable[..., list[Task]],
    ledger: Path,
    topology: Topology,
) -> None:
    """Offer waiting tasks of `module`, round after round, until the ledger proves every worker.

    `make` takes their number, how long they wait in us, and the number of the first.

    Raises:
        LabError: The system takes no task, or not all of its workers were at work at once.
    """
    backend, deadline, skip = offering.backend, time.monotonic() + DEADLINE_S, 0
    for number in range(ROUNDS):
        n, wait_us = round_size(number, backend.workers)
        tasks = make(n=n, size=wait_us, skip=skip)
        skip += n
        watcher = Watcher(ledger, range(tasks[0].id, skip))
        sent = time.monotonic_ns()
        offering.offer(VERIFY, tasks, [sent] * n)
        if offering.error:
            raise LabError(f"It took no tasks in the verify phase. {offering.error}")
        _await(offering, tasks, watcher, deadline)
        answers = {t.id: right_answer(module, t, executes=backend.executes) for t in tasks}
        if is_proven(ledger, answers, sent, time.monotonic_ns(), topology):
            return
        if time.monotonic() > deadline:
            break
    raise LabError(
        f"Not all of {backend.workers} workers were at work at once in the verify phase; "
        "the logs folder of this trial says what they did."
    )


def _await(offering: Offering, tasks: Sequence[Task], watcher: Watcher, deadline: float) -> None:
    """Wait until all tasks have finished, or for the deadline.

    Raises:
        LabError: The system says that one which does not end has failed.
    """
    ask_at = time.monotonic() + ASK_S
    while watcher.count() < len(tasks) and time.monotonic() < deadline:
        time.sleep(0.002)
        if time.monotonic() > ask_at:
            left = unfinished(watcher.folder, [task.id for task in tasks])
            if why := offering.failure_of(left, RESULT_S):
                raise LabError(f"A task of the verify phase failed. {why}")
            ask_at = time.monotonic() + ASK_S


def prove_scheduler(
    offering: Offering, module: ModuleType, make: Callable[..., list[Task]], ledger: Path
) -> None:
    """Have one job after another scheduled, each for `TRY_S`, until one has run; remove them.

    A scheduler that is still starting may overlook a job, and later look for changes only:
    django-celery-beat reads its jobs first and notes afterwards as of when. The jobs count as
    warm-up: before a first run lies its period, so that it tells nothing of a cold start.

    Raises:
        LabError: None ran in time, or one raised or gave a wrong answer.
    """
    every_s = offering.backend.finest_period_s
    for number in range(round(DEADLINE_S / TRY_S)):
        (task,) = make(n=1, size=WAIT_US, skip=number)
        job = Job(task.id, task.function, task.argument, every_s)
        answers = {job.id: right_answer(module, job, executes=offering.backend.executes)}
        begin = time.monotonic_ns()
        offering.jobs(WARM_UP, [job], begin)
        deadline_ns = begin + round((every_s + TRY_S) * 1e9)
        has_run = await_runs(ledger, answers, {job.id: begin}, deadline_ns)
        offering.no_more_jobs()
        if has_run:
            return
    raise LabError(
        f"No job had run {DEADLINE_S:.0f} s after it was scheduled; "
        "the logs folder of this trial says what the scheduler did."
    )


def is_proven(
    ledger: Path, answers: Mapping[int, int], sent_ns: int, seen_ns: int, topology: Topology
) -> bool:
    """Tell whether the tasks of `answers` (id to right answer) prove every worker slot.

    Raises:
        LabError: A wrong answer, clocks that disagree, or another time namespace.
    """
    found: list[Execution] = []
    nodes = set()
    for path in ledger.glob("*.bin"):
        header, records = executions(path)
        mine = [record for record in records if record.task_id in answers]
        if mine and header.time_namespace != time_namespace():
            raise LabError("A worker lives in another time namespace: clocks cannot be compared.")
        found += mine
        nodes |= {header.node for _ in mine}
    if any(r.started_ns < sent_ns or r.finished_ns > seen_ns for r in found):
        raise LabError("Clocks disagree: a task started before it was sent, or ended after it.")
    if any(r.finished_ns and r.answer != answers[r.task_id] for r in found):
        raise LabError("A worker gave a wrong answer in the verify phase.")
    spans = [(r.started_ns, r.finished_ns or seen_ns) for r in found]
    return most_at_once(spans) >= topology.workers and len(nodes) == topology.nodes


def most_at_once(spans: Sequence[tuple[int, int]]) -> int:
    """Return the largest number of spans (begin, end) that overlap at one instant."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most
