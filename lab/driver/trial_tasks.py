"""Makes the tasks of a trial's phases, in each of its drivers."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from lab.core.model import Capability, Task, TrialSpec
from lab.planning import registry
from lab.planning.phases import Phase
from lab.planning.tasks import make_tasks, unchecked


class TrialTasks:
    """Makes the tasks of one trial; `module` is its workload."""

    def __init__(self, spec: TrialSpec, promised: frozenset[Capability]) -> None:
        self.module = registry.workload(spec.workload)[1]
        self._spec, self._promised = spec, promised

    def of_workload(self, phase: Phase, indexes: Iterable[int]) -> list[Task]:
        """Return tasks of the trial's workload, by their indexes in a phase."""
        return self.of(phase, indexes, self.module, self._spec.size)

    def of(self, phase: Phase, indexes: Iterable[int], module: ModuleType, size: int) -> list[Task]:
        """Return tasks of a workload and of a size in its unit, by their indexes in a phase."""
        spec, is_workload = self._spec, module is self.module
        ids = (phase.first_task + index for index in indexes)
        as_coroutines = Capability.COROUTINES in self._promised
        as_coroutines |= is_workload and spec.is_coroutine
        tasks = make_tasks(module, size, spec.seed, ids, as_coroutines=as_coroutines)
        is_checked = not spec.unchecked or (phase == Phase.WARM_UP and spec.answer is not None)
        return unchecked(tasks) if is_workload and not is_checked else tasks
