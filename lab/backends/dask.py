"""Runs tasks with Dask: its local schedulers for threads and processes, and `distributed`."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.core.backend import Backend
from lab.core.faults import ENDED_WORKERS
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Profile,
    Serializer,
    Service,
    Task,
    Variant,
)
from lab.core.outcomes import TaskState
from lab.worker import execution

if TYPE_CHECKING:
    from distributed import Future

BATCHES = frozenset({Capability.BATCH, Capability.PARALLEL, Capability.GROUP, Capability.CHAIN})
FUTURES = BATCHES | {
    Capability.SUBMIT,
    Capability.RESULT,
    Capability.NODES,
    Capability.RETRY,
    Capability.PRIORITY,
    Capability.AWAITS,
}
DISTRIBUTED = ("distributed.scheduler", "distributed.worker", "distributed.nanny")
# The module that makes its servers close connections of other users.
PEERS = "lab.backends._dask"
# Dask derives the name of the variable from the name of the setting (Dask docs, Configuration).
SATURATION = "distributed.scheduler.worker-saturation"
# Default of distributed.scheduler.worker-ttl: a worker without heartbeats is replaced after this.
WORKER_TTL_S = 300.0
STATES: Mapping[str | None, TaskState] = {
    "finished": TaskState.FINISHED,
    "error": TaskState.FAILED,
    "cancelled": TaskState.FAILED,
    "lost": TaskState.MISSING,
}
SATURATION_VARIABLE = "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION"


def _computing(name: str, summary: str, **settings: Any) -> Variant:
    text = f"compute(scheduler={settings['scheduler']!r}), {summary} (Dask docs, Scheduling)."
    in_memory = settings["scheduler"] == "threads"
    serializer = Serializer.MEMORY if in_memory else Serializer.CLOUDPICKLE
    references = ("queue",) if in_memory else ("pipe[shares]",)
    return Variant(name, BATCHES, text, settings, serializer=serializer, references=references)


def _distributed(name: str, summary: str, **settings: Any) -> Variant:
    return Variant(
        name,
        FUTURES,
        f"{summary} (Dask docs, Command Line, and Futures).",
        settings,
        services=(Service.DASK_SCHEDULER,),
        packages=("distributed",),
        serializer=Serializer.CLOUDPICKLE,
    )


class Dask(Backend):
    """Computes batches of delayed calls, or sends tasks to a scheduler and its workers.

    A computed batch is one call: it returns when all tasks have ended, and raises the exception of
    the first task that failed. No task is `pure`, because Dask would run equal calls only once.
    With `distributed`, other workers rerun the tasks of a lost worker in the default profile, so
    that there is no profile `safe`. `submit` returns before the task is sent.
    """

    family = "dask"
    references = ("pipe",)
    summary = "Dask's local schedulers, and distributed"
    packages = ("dask",)
    extra = "dask"
    variants = (
        _computing("threads", "one pool of threads", scheduler="threads"),
        _computing("processes", "new processes for each call", scheduler="processes"),
        # `spawn` is also the default of pools that Dask creates (Dask source, multiprocessing.py).
        _computing("processes+pool", "one pool", scheduler="processes", context="spawn"),
        _distributed("distributed", "`dask worker --nthreads 1`: one process per slot", nthreads=1),
        _distributed(
            "distributed+threads", "`dask worker`: one process per node, one thread per slot"
        ),
    )
    profiles = (
        Profile("default", variants=("threads", "processes", "processes+pool")),
        Profile(
            "default",
            why="As installed. Other workers rerun the tasks of a lost worker, unless it is the "
            "fourth that they lose (Dask.distributed docs, Resilience, Worker process failures).",
            variants=("distributed", "distributed+threads"),
            safe_against=ENDED_WORKERS,
        ),
        Profile(
            "tuned",
            {SATURATION: 2.0},
            "worker-saturation: for extremely fast tasks, consider an increase from 1.1, so that "
            "each worker has more than one task ready; values above 2.0 usually have little "
            "benefit (Dask.distributed docs, Scheduling Policies, Adjusting or disabling queuing).",
            variants=("distributed", "distributed+threads"),
        ),
    )

    def start(self) -> None:
        """Connect to the scheduler, or create the pool of a variant that has one."""
        self._context = contextlib.ExitStack()
        if endpoint := self.setup.endpoints.get(Service.DASK_SCHEDULER):
            from distributed import Client

            # As the default, it would also run every `compute` of this process (API, Client).
            client = Client(endpoint, set_as_default=False)  # type: ignore[no-untyped-call]
            self._client = self._context.enter_context(client)
            # The scheduler drops a task, even before its run, when its last future is deleted.
            self._futures: list[Future[Any]] = []
            return
        settings = self.setup.settings
        self._options: dict[str, Any] = {"scheduler": settings["scheduler"]}
        if "context" in settings:
            spawning = multiprocessing.get_context(settings["context"])
            pool = ProcessPoolExecutor(self.workers, spawning)
            self._options["pool"] = self._context.enter_context(pool)
        else:
            self._options["num_workers"] = self.workers

    def submit(self, task: Task) -> Future[Any]:
        """Send the task to the scheduler and return its future."""
        return self._send(task)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Future[Any]:
        """Send the task with `retries` (Dask docs, Futures, Client.submit)."""
        return self._send(task, retries=3)

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Future[Any]:
        """Send the task with a `priority`; the default is 0 (Dask docs, Priorities)."""
        return self._send(task, priority=1 if urgent else 0)

    def _send(self, task: Task, **options: int) -> Future[Any]:
        run = execution.entry(task.function)
        future: Future[Any] = self._client.submit(run, *task.arguments, pure=False, **options)
        self._futures.append(future)
        return future

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map over the batch, or compute it and return when all tasks have ended."""
        if self.setup.endpoints:
            columns = zip(*(task.arguments for task in tasks), strict=True)
            run = execution.entry(tasks[0].function)
            self._futures += self._client.map(run, *columns, pure=False)
            return
        from dask.base import compute
        from dask.delayed import delayed

        call = delayed(execution.execute, pure=False)
        compute(*(call(*task.arguments) for task in tasks), **self._options)  # type: ignore[no-untyped-call]

    def submit_group(self, tasks: Sequence[Task]) -> Future[Any] | None:
        """Send the group and a join that depends on all of it, or compute both in one graph."""
        if self.setup.endpoints:
            columns = zip(*(task.arguments for task in tasks), strict=True)
            run = execution.entry(tasks[0].function)
            members = self._client.map(run, *columns, pure=False)
            end: Future[Any] = self._client.submit(execution.noop_join, *members, pure=False)
            return end
        from dask.delayed import delayed

        call, end_of = (
            delayed(execution.execute, pure=False),
            delayed(execution.noop_join, pure=False),
        )
        end_of(*(call(*task.arguments) for task in tasks)).compute(**self._options)
        return None

    def submit_chain(self, tasks: Sequence[Task]) -> Future[Any] | None:
        """Send tasks of which each depends on the one before, or compute them in one graph."""
        link: Any = None
        if self.setup.endpoints:
            is_coroutine = execution.COROUTINE in tasks[0].function
            run = execution.execute_after_async if is_coroutine else execution.execute_after
            # Earlier futures may go: the scheduler keeps a task while another one depends on it.
            for task in tasks:
                link = self._client.submit(run, link, *task.arguments, pure=False)
            last: Future[Any] = link
            return last
        from dask.delayed import delayed

        call = delayed(execution.execute_after, pure=False)
        for task in tasks:
            link = call(link, *task.arguments)
        link.compute(**self._options)
        return None

    def result(self, handle: Future[Any], timeout_s: float) -> Any:
        """Wait for the future."""
        return handle.result(timeout_s)

    def state_of(self, handle: Future[Any]) -> TaskState:
        """Return the future's status (Dask.distributed API, Future.status).

        A pending task runs if the scheduler lists it as processing (API, Client.processing).
        """
        if handle.status != "pending":
            return STATES.get(handle.status, TaskState.UNKNOWN)
        processing = self._client.processing()
        is_running = any(handle.key in keys for keys in processing.values())
        return TaskState.RUNNING if is_running else TaskState.QUEUED

    def stop(self) -> None:
        """Close the client or the pool; Dask's threads continue until the process ends."""
        self._context.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return Dask's configuration, overridden by the settings of the variant."""
        import dask.config

        settings = self.setup.settings
        if self.setup.endpoints:
            chosen = {name: value for name, value in settings.items() if name == SATURATION}
            # Only the environment of the scheduler has the value of `tuned`, not the driver's.
            with dask.config.set(chosen):
                configured = {name: dask.config.get(name) for name in DISTRIBUTED}
            threads = settings.get("nthreads", self.setup.topology.workers_per_node)
            return {**configured, "nthreads": threads}
        defaults = {"context": dask.config.get("multiprocessing.context", "spawn"), "chunksize": 6}
        is_local = settings["scheduler"] == "threads"
        return {**({} if is_local else defaults), **settings, "num_workers": self.workers}

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the scheduler's `worker-ttl`; the end of a connection is detected immediately."""
        return None if "scheduler" in settings else WORKER_TTL_S

    @classmethod
    def server_environment(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the variables of Dask's scheduler, which reads the setting of `tuned`."""
        return {SATURATION_VARIABLE: str(settings[SATURATION])} if SATURATION in settings else {}

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the single `dask worker` of a node, which starts a nanny for each process."""
        if not setup.endpoints:
            return ()
        slots = setup.topology.workers_per_node
        threads = setup.settings.get("nthreads", slots)
        scheduler = setup.endpoints[Service.DASK_SCHEDULER]
        argv = [sys.executable, "-m", "dask", "worker", scheduler]
        if urlsplit(scheduler).hostname == "127.0.0.1":  # reachable for every user of the machine
            # `--no-dashboard` removes only pages: the HTTP server still listens, and did so on
            # 0.0.0.0 without this address (observed).
            argv += ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
            # The nanny listens on a separate port, so it needs the same protection.
            argv += ["--preload", PEERS, "--preload-nanny", PEERS]
        argv += ["--nworkers", str(slots // threads), "--nthreads", str(threads)]
        return [Command((*argv, "--no-dashboard"), slots)]
