"""Makes the tasks of each phase from a spec; their numbers tell which phase they belong to."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import ModuleType

from lab.core.model import Job, Periodic, Task, TrialSpec
from lab.planning.phases import FIRST_TASK
from lab.worker.execution import UNCHECKED, checksum
from lab.worker.ledger import MEASURE


def make_tasks(
    module: ModuleType, size: int, seed: int, ids: Iterable[int], *, as_coroutines: bool
) -> list[Task]:
    """Make tasks of a workload, each with an argument of its own that seed and id decide."""
    function = f"{module.__name__}:{'run_async' if as_coroutines else 'run'}"
    return [Task(i, function, module.argument(size, seed + i)) for i in ids]


def unchecked(tasks: Iterable[Task]) -> list[Task]:
    """Return the same tasks without a check of their answers; they call a user's function."""
    return [replace(task, function=f"{task.function}{UNCHECKED}") for task in tasks]


def make_jobs(module: ModuleType, spec: TrialSpec, *, as_coroutines: bool) -> tuple[Job, ...]:
    """Make the jobs of a periodic trial: its window's tasks, each with the schedule of all."""
    arrival = spec.arrival
    if not isinstance(arrival, Periodic):
        return ()
    ids = range(FIRST_TASK[MEASURE], FIRST_TASK[MEASURE] + arrival.n_tasks)
    tasks = make_tasks(module, spec.size, spec.seed, ids, as_coroutines=as_coroutines)
    return tuple(
        Job(task.id, task.function, task.argument, arrival.every_s, arrival.cron) for task in tasks
    )


def set_apart() -> None:
    """Keep the objects that are there by now, a plan's tasks, from the garbage collector.

    They are the lab's, and lie in the process in which some systems live: each full collection
    would walk through all of them, on the system's time, which was seen to add up to two
    microseconds a task. What comes later is collected as ever: the second collection also resets
    the number of old objects, by which the interpreter decides when a full one is due.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def plan_hash(offsets_ns: Sequence[int], tasks: Sequence[Task]) -> str:
    """Return sixteen hex digits over instants and arguments: equal plans, equal hashes."""
    digest = hashlib.sha256(json.dumps(list(offsets_ns)).encode())
    for task in tasks:
        digest.update(repr((task.id, task.argument)).encode())
    return digest.hexdigest()[:16]


def right_answer(module: ModuleType, task: Task | Job, *, executes: bool) -> int:
    """Return the checksum of a task's right answer; 0 from a system that runs no task."""
    return checksum(module.answer(task.argument)) if executes else 0
