"""Replaces tasks of a window by tasks that are faults: poison, too much memory, too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab.core.backend import settings_of
from lab.core.faults import FaultKind
from lab.core.model import Task, TrialSpec
from lab.planning import registry
from lab.planning.faults import offsets_ns, window_s
from lab.planning.phases import Phase

FUNCTIONS: Mapping[FaultKind, str] = {
    FaultKind.POISON: "poison",
    FaultKind.WORKER_OOM: "exceed_memory",
}
MODULE = "lab.worker.fault_tasks"
# The task of `outlive` takes this many redelivery horizons.
OUTLIVED_HORIZONS = 1.2
KINDS = (*FUNCTIONS, FaultKind.OUTLIVE)
# A task that outlives its deadline is delivered again in each of its executions, without an end:
# the second one decides its outcome.
DECIDING = 2


def fault_task_ids(spec: TrialSpec) -> list[int]:
    """Return the ids of the tasks that are the hits of a fault, in their order."""
    if spec.fault is None or spec.fault.kind not in KINDS:
        return []
    n, length_ns = spec.arrival.n_tasks, window_s(spec) * 1e9
    indexes = (min(n - 1, int(offset * n / length_ns)) for offset in offsets_ns(spec))
    # A set: in a short burst, two instants may name the same task.
    return sorted({Phase.MEASURE.first_task + index for index in indexes})


def with_fault_tasks(spec: TrialSpec, tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks of a window, with those that are hits replaced."""
    ids = {*fault_task_ids(spec)}
    return [_fault_task(spec, task) if task.id in ids else task for task in tasks]


def _fault_task(spec: TrialSpec, task: Task) -> Task:
    if spec.fault is None or spec.fault.kind not in FUNCTIONS:
        _, module = registry.workload(spec.workload)
        size = round((outlive_s(spec) or 0.0) * 1e6)
        return replace(task, argument=module.argument(size, spec.seed + task.id))
    is_coroutine = ":run_async" in task.function
    name = f"{'run_async_' * is_coroutine}{FUNCTIONS[spec.fault.kind]}"
    return replace(task, function=f"{MODULE}:{name}")


def outlive_s(spec: TrialSpec) -> float | None:
    """Return the seconds of a task that outlives the redelivery horizon; None: there is none."""
    backend = registry.select(spec.label).backend
    settings = settings_of(backend, spec.variant, spec.profile)
    horizon_s = backend.redelivery_horizon_s(settings, is_started=True)
    return None if horizon_s is None else OUTLIVED_HORIZONS * horizon_s


def outlive_work_s(spec: TrialSpec) -> float:
    """Return the seconds of the executions that decide all tasks that outlive the horizon."""
    hits = spec.fault.hits if spec.fault else 0
    return DECIDING * hits * (outlive_s(spec) or 0.0) / spec.topology.workers
