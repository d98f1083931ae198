"""Creates the tasks of each phase of a trial; each phase has its own range of task ids."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import ModuleType

from lab.core.model import Job, Periodic, Task, TrialSpec
from lab.planning.phases import Phase
from lab.worker.execution import UNCHECKED, checksum


def make_tasks(
    module: ModuleType, size: int, seed: int, ids: Iterable[int], *, as_coroutines: bool
) -> list[Task]:
    """Return tasks of a workload; seed and id determine the argument of each."""
    function = f"{module.__name__}:{'run_async' if as_coroutines else 'run'}"
    # From the id and not from a common stream, so each phase can create its tasks by itself.
    return [Task(task_id, function, module.argument(size, seed + task_id)) for task_id in ids]


def unchecked(tasks: Iterable[Task]) -> list[Task]:
    """Return the same tasks of a user's function, without a check of their answers."""
    return [replace(task, function=f"{task.function}{UNCHECKED}") for task in tasks]


def make_jobs(module: ModuleType, spec: TrialSpec, *, as_coroutines: bool) -> tuple[Job, ...]:
    """Return the jobs of a periodic trial: the tasks of its window, all with one schedule."""
    arrival = spec.arrival
    if not isinstance(arrival, Periodic):
        return ()
    ids = Phase.MEASURE.ids[: arrival.n_tasks]
    tasks = make_tasks(module, spec.size, spec.seed, ids, as_coroutines=as_coroutines)
    return tuple(
        Job(task.id, task.function, task.argument, arrival.every_s, arrival.cron) for task in tasks
    )


def freeze_gc() -> None:
    """Exclude all current objects, such as a plan's tasks, from garbage collection.

    Some backends run in this process. Each full collection would traverse the lab's tasks in the
    backend's time, which cost up to two microseconds per task. Later objects are collected as
    usual: the second collection also resets the number of old objects, from which the interpreter
    decides when a full collection is due.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def plan_hash(offsets_ns: Sequence[int], tasks: Sequence[Task]) -> str:
    """Return a hash of the instants and arguments of a plan, as 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(list(offsets_ns)).encode())
    for task in tasks:
        # Without the function, which differs for backends that await: the hash is equal for all
        # systems of a block (METHOD M4).
        digest.update(repr((task.id, task.argument)).encode())
    return digest.hexdigest()[:16]


def right_answer(module: ModuleType, task: Task | Job, *, executes: bool) -> int:
    """Return the checksum of a task's right answer; 0 if the backend runs no task."""
    # `null` stamps its records with the answer 0.
    return checksum(module.answer(task.argument)) if executes else 0
