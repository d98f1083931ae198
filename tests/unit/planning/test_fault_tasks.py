"""Tests which tasks of a window are faults, and what they do to the process that runs them."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from lab.core.faults import Fault, FaultKind
from lab.core.model import Paced, Task, TrialSpec
from lab.planning import fault_tasks, registry
from lab.planning.compatibility import unsupported_reason
from lab.planning.phases import Phase
from lab.planning.tasks import make_tasks
from lab.providers.local import LocalCluster
from tests.factories.trials import spec_of


def spec(kind: FaultKind, label: str = "celery", hits: int = 5) -> TrialSpec:
    """Return a paced trial of a minute whose fault is a task."""
    arrival = Paced(600, 10.0)
    return spec_of(label, "io", arrival, size=50_000, fault=Fault(kind, hits), deadline_s=120.0)


def window(trial: TrialSpec) -> list[Task]:
    """Return the tasks of a window as the driver makes them."""
    _, module = registry.workload(trial.workload)
    ids = range(Phase.MEASURE.first_task, Phase.MEASURE.first_task + trial.arrival.n_tasks)
    return make_tasks(module, trial.size, trial.seed, ids, as_coroutines=False)


def test_each_hit_is_one_task() -> None:
    """All others are as without the fault, and a fault that hits from outside replaces none."""
    trial = spec(FaultKind.POISON)
    before, after = window(trial), fault_tasks.with_fault_tasks(trial, window(trial))
    replaced = [new.id for old, new in zip(before, after, strict=True) if old != new]
    assert replaced == fault_tasks.fault_task_ids(trial)
    assert len(replaced) == 5
    other = spec(FaultKind.WORKER_KILL)
    assert fault_tasks.with_fault_tasks(other, window(other)) == window(other)


def test_the_tasks_are_equal_for_all_systems_of_a_block() -> None:
    """Another block has others."""
    ids = fault_tasks.fault_task_ids(spec(FaultKind.POISON))
    assert fault_tasks.fault_task_ids(spec(FaultKind.POISON, "rq")) == ids
    assert fault_tasks.fault_task_ids(replace(spec(FaultKind.POISON), seed=6)) != ids


def run(function: str) -> subprocess.CompletedProcess[str]:
    """Run a task of `lab.worker.fault_tasks` in a process of its own."""
    code = f"from lab.worker import fault_tasks as f; f.{function}([1])"
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_poison_kills_its_process() -> None:
    """No handler and no `finally` runs."""
    assert run("poison").returncode == -signal.SIGKILL


def test_too_much_memory_ends_the_task() -> None:
    """Without a container's limit the process gets an exception, and the machine is spared."""
    ended = run("exceed_memory")
    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr


def test_a_task_outlives_the_redelivery_horizon() -> None:
    """It has the right answer, and takes longer than the system waits."""
    trial = spec(FaultKind.OUTLIVE, "celery@safe", hits=1)
    (task_id,) = fault_tasks.fault_task_ids(trial)
    changed = fault_tasks.with_fault_tasks(trial, window(trial))
    by_id = {task.id: task for task in changed}
    microseconds, number = by_id[task_id].argument
    assert 60e6 < microseconds < 120e6
    assert [number] == [task.argument[1] for task in window(trial) if task.id == task_id]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("celery@safe", ""),
        ("celery@default", "never delivers a started task again"),
        ("rq", "takes 1080 s, and the preset ends a trial 120 s after"),
    ],
)
def test_a_horizon_that_no_task_can_outlive_is_a_reason(label: str, reason: str) -> None:
    """The reason has the seconds that the preset would have to wait."""
    actual = unsupported_reason(spec(FaultKind.OUTLIVE, label), LocalCluster.offers)
    assert reason in (actual or "")
    assert bool(actual) == bool(reason)
