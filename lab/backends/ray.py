"""Runs tasks with Ray on a cluster of this machine: as tasks, or by a pool of actors."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from lab.core.backend import DEFAULT, Backend
from lab.core.faults import FaultKind
from lab.core.model import Capability, Profile, Serializer, Task, Variant
from lab.core.outcomes import TaskState
from lab.worker import execution

TASKS, ACTORS = "tasks", "actors"
PROMISED = {
    TASKS: frozenset(
        {
            *(Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL),
            *(Capability.GROUP, Capability.CHAIN, Capability.RETRY),
        }
    ),
    ACTORS: frozenset({Capability.BATCH, Capability.PARALLEL, Capability.GROUP}),
}
# Ray reads them when it is imported, and its processes inherit them. No usage statistics leave the
# machine (Ray docs, Usage Stats Collection), its sockets accept the token of the trial only (Ray
# docs, Ray token authentication), and, without clusters of several machines, listen on loopback.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 (the name of the variable)
CLUSTER = {"address": "local", "include_dashboard": False, "log_to_driver": False}
# Defaults of Ray (API, `ray.remote`), stated because the row and the promises depend on them.
RETRIES = {
    TASKS: {"max_retries": 3, "retry_exceptions": False},
    ACTORS: {"max_restarts": 0, "max_task_retries": 0},
}
# Ray starts a new process for a task of a dead one at once, and gives it this time to register
# (ray_config_def.h, worker_register_timeout_seconds).
REGISTER_S = 60.0
OF_WORKERS = (FaultKind.CHILD_KILL, FaultKind.WORKER_KILL, FaultKind.IDLE_WORKER_KILL)


class Ray(Backend):
    """Starts a cluster with the driver, with one CPU for each of `workers`.

    A task needs one CPU, so that as many run at once. The cluster ends with the driver.
    """

    family = "ray"
    references = ("pipe",)
    summary = "Ray on this machine: tasks, or a pool of actors"
    packages = ("ray",)
    extra = "ray"
    by_default = False
    variants = (
        Variant(
            TASKS,
            PROMISED[TASKS],
            "A remote function for each task (Ray docs, Tasks).",
            RETRIES[TASKS],
            serializer=Serializer.CLOUDPICKLE,
        ),
        Variant(
            ACTORS,
            PROMISED[ACTORS],
            "ActorPool.map_unordered, one actor for each slot (Ray docs, Utility Classes).",
            RETRIES[ACTORS],
            serializer=Serializer.CLOUDPICKLE,
        ),
    )
    profiles = (
        Profile(
            "default",
            why="As installed. A task whose process dies is run again, at most three times (Ray "
            "docs, Task Fault Tolerance, Retrying failed tasks).",
            variants=(TASKS,),
            safe_against=OF_WORKERS,
        ),
        Profile(DEFAULT.name, variants=(ACTORS,)),
        Profile(
            "safe",
            {"max_restarts": -1, "max_task_retries": -1},
            "max_restarts, max_task_retries: a dead actor is started again, and the task that it "
            "executed is run again, without a limit (Ray docs, Actor Fault Tolerance, At-least-"
            "once execution).",
            variants=(ACTORS,),
            safe_against=OF_WORKERS,
        ),
    )

    def start(self) -> None:
        """Start the cluster, and the actors of their variant."""
        os.environ.update({**ENVIRONMENT, TOKEN: self.setup.password})
        import ray

        # The folder of the trial, instead of one in /tmp that remains.
        ray.init(num_cpus=self.workers, _temp_dir=tempfile.gettempdir(), **CLUSTER)
        self._ray = ray
        remote = ray.remote(**self.setup.settings)
        if self.setup.variant == TASKS:
            self._execute, self._chained = map(remote, (execution.execute, execution.execute_after))
        else:
            from ray.util import ActorPool

            actor = remote(_Actor)
            self._pool = ActorPool([actor.remote() for _ in range(self.workers)])

    def submit(self, task: Task) -> Any:
        """Call the remote function and return the reference of its result."""
        return self._execute.remote(*task.arguments)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Call it with `retry_exceptions` (Ray docs, Task Fault Tolerance)."""
        return self._execute.options(retry_exceptions=True).remote(*task.arguments)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map the pool over the batch, and return when all tasks have ended."""
        deque(self._pool.map_unordered(_on_actor, tasks), maxlen=0)

    def submit_group(self, tasks: Sequence[Task]) -> list[Any] | None:
        """Call the remote function for each task, or map the pool, which waits for the group."""
        if self.setup.variant == TASKS:
            return [self.submit(task) for task in tasks]
        self.submit_all(tasks)
        return None

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Call a remote function with the reference of the one before (Ray docs, Tasks)."""
        link: Any = None
        for task in tasks:
            link = self._chained.remote(link, *task.arguments)
        return link

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Get the result, or those of a group."""
        return self._ray.get(handle, timeout=timeout_s)

    def state_of(self, handle: Any) -> TaskState:
        """Return whether its result is there; a pending task may wait or run (API, `ray.wait`)."""
        ready, _ = self._ray.wait([handle], timeout=0)
        if not ready:
            return TaskState.RUNNING
        try:
            self._ray.get(handle)
        except self._ray.exceptions.RayError:
            return TaskState.FAILED
        return TaskState.FINISHED

    def stop(self) -> None:
        """End the cluster."""
        self._ray.shutdown()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of the cluster, its resources, and the retries of tasks."""
        resources = self._ray.cluster_resources()
        counted = {name: n for name, n in resources.items() if not name.startswith("node:")}
        return {**CLUSTER, **ENVIRONMENT, **counted, **self.setup.settings}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the time in which the new process of a task has to register; None: no retry."""
        is_retried = settings.get("max_retries") or settings.get("max_task_retries")
        return REGISTER_S if is_retried else None


class _Actor:
    """Executes the tasks of one slot."""

    def execute(self, task_id: int, function: str, argument: Any) -> Any:
        return execution.execute(task_id, function, argument)


def _on_actor(actor: Any, task: Task) -> Any:
    return actor.execute.remote(*task.arguments)
