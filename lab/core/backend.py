"""Defines the contract of an adapter, the class that connects one backend to the lab.

An adapter translates calls; it never measures and never paces. `start` and `stop` are required.
`Variant.capabilities` states which of the other methods a variant implements, including `submit`.
One adapter is one file in `lab/backends/`. It imports its packages inside its methods, so that
backends can be listed without them, and an error names the missing package.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from lab.core.model import BackendContext, Capability, Command, Profile, Service, Topology, Variant
from lab.core.monitor import Monitor
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.task import Job, Task

DEFAULT = Profile("default")
JOBS = "jobs.json"
# The reference of all backends, which only calls the function (METHOD M18, B0).
INLINE = "inline"


class Backend(ABC):
    """A system under test, as the driver and the cluster use it.

    Attributes:
        family: Backends of one family share a colour in all figures.
        summary: One line for `lab list`.
        variants: The first one is used if only the backend is named.
        profiles: The first one is used if only the backend is named.
        packages: Modules that must be importable; empty for the standard library.
        python: The oldest version of Python that has it.
        extra: The install extra with these packages and those of single variants.
        services: Servers that the variants need, unless a variant lists its own.
        finest_period_s: The shortest period of its scheduler, in seconds.
        schedules_in_workers: Whether its worker commands start the due jobs as well.
        reads_cron: Whether its scheduler accepts cron lines.
        executes: Whether it runs tasks; false only for `null`.
        references: Labels of its references, which bound its throughput. They run in the same
            blocks, and throughput is compared with that of the first (METHOD M18).
        by_default: Whether `lab bench` without ``--backend`` includes it. A backend of the lab that
            does not joins by its name, or with ``--backend all``.
    """

    family: ClassVar[str]
    summary: ClassVar[str]
    variants: ClassVar[Sequence[Variant]]
    profiles: ClassVar[Sequence[Profile]] = (DEFAULT,)
    packages: ClassVar[Sequence[str]] = ()
    python: ClassVar[tuple[int, int]] = (3, 11)
    extra: ClassVar[str] = ""
    services: ClassVar[Sequence[Service]] = ()
    finest_period_s: ClassVar[float] = 1.0
    schedules_in_workers: ClassVar[bool] = False
    reads_cron: ClassVar[bool] = True
    executes: ClassVar[bool] = True
    references: ClassVar[Sequence[str]] = ()
    by_default: ClassVar[bool] = True

    def __init__(self, setup: BackendContext) -> None:
        self.setup = setup
        self.workers = setup.topology.workers

    @abstractmethod
    def start(self) -> None:
        """Create the client or the pool in the driver's process, ready for `submit`."""

    @abstractmethod
    def stop(self) -> None:
        """Release everything that `start` created; a second call does nothing."""

    def submit(self, task: Task) -> Any:
        """Submit one task with the backend's documented call; return its handle (`SUBMIT`)."""
        raise NotImplementedError

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Submit a batch in one call (`Capability.BATCH`).

        Like the backend's call, it may return before or after the tasks have ended.
        """
        raise NotImplementedError

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for one task's result with the backend's documented call (`Capability.RESULT`).

        Raises:
            TimeoutError: No result came within `timeout_s` seconds.
        """
        raise NotImplementedError

    def state_of(self, handle: Any) -> TaskState:
        """Return the state of one submitted task, from the backend's documented call.

        The driver calls it after the drain of a trial with a fault, for tasks that did not finish.
        """
        return TaskState.UNKNOWN

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the seconds after which the backend delivers a task of a dead worker again.

        The longest time, with the settings of variant and profile; until 1.5 times as long, no task
        counts as lost (METHOD M27). None: never, as for a started task that is acknowledged early.
        """
        return None

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Submit tasks as a group that the backend joins (`GROUP`).

        Returns the handle for `join`, or None if the call returns when the tasks have ended.
        """
        raise NotImplementedError

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Submit tasks as a chain: each starts when the previous one has ended (`CHAIN`).

        Returns the handle for `join`. If passing on results is optional, they are not passed on.
        """
        raise NotImplementedError

    def join(self, handle: Any, timeout_s: float) -> None:
        """Wait until a whole group or chain has ended; by default, for the result of its handle.

        Raises:
            TimeoutError: It had not ended after `timeout_s` seconds. If the backend's call has no
                timeout, the driver's deadline ends the trial.
        """
        if handle is not None:
            self.result(handle, timeout_s)

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Submit one task that the backend runs again if it raises (`RETRY`).

        It uses the backend's documented retry, at least once and `delay_s` seconds later
        (`RETRY_DELAY`). With 0 the retry is as soon as possible, and not after the backend's
        default delay, which may be minutes.
        """
        raise NotImplementedError

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Submit one task with a high or a low priority (`Capability.PRIORITY`).

        An urgent task should start before all waiting tasks that are not urgent. If priorities
        need settings of the workers (names of queues, priority steps), a separate variant has them.
        """
        raise NotImplementedError

    def schedule(self, job: Job) -> Any:
        """Schedule a job from now on; return the handle for `unschedule`.

        With `Capability.RESCHEDULE` the driver calls it for each job of a periodic trial. With
        `SCHEDULE` alone the jobs are in the setup, and it is not called.
        """
        raise NotImplementedError

    def unschedule(self, handle: Any) -> None:
        """Remove a job (`Capability.RESCHEDULE`)."""
        raise NotImplementedError

    def reschedule(self, handle: Any, job: Job) -> Any:
        """Change the schedule of a job from now on; return its new handle.

        Adapters override it if the backend has a call for it (`Capability.RESCHEDULE`). By default
        the job is removed and added again.
        """
        self.unschedule(handle)
        return self.schedule(job)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return all settings in force, including defaults, as JSON values for the trial row."""
        return dict(self.setup.settings)

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the worker commands of one node; none for a backend inside the driver."""
        return ()

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return commands that must end before the nodes start, such as `manage.py migrate`."""
        return ()

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the commands of the cluster's one scheduler; used only in trials with jobs."""
        return ()

    @classmethod
    def monitor(cls, setup: BackendContext) -> Monitor:
        """Return the backend's monitor, which runs in trials with `Monitoring` arrival (`MONITOR`).

        It starts when every worker has answered, and has the environment of the workers.
        """
        raise NotImplementedError

    @classmethod
    def server_environment(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the environment of a server that is part of the backend, as Dask's scheduler."""
        return {}

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the environment of the backend's commands, beyond the lab's variables."""
        return {}


def variant_of(backend: type[Backend], name: str) -> Variant:
    """Return the variant of `backend` with a name."""
    return next(variant for variant in backend.variants if variant.name == name)


def capabilities(backend: type[Backend], variant: str) -> frozenset[Capability]:
    """Return the capabilities of `variant` of `backend`."""
    return variant_of(backend, variant).capabilities


def services_of(backend: type[Backend], variant: str) -> Sequence[Service]:
    """Return the servers that `variant` of `backend` needs."""
    return variant_of(backend, variant).services or backend.services


def references_of(backend: type[Backend], variant: str) -> Sequence[str]:
    """Return the labels of the references of `variant` of `backend`; none for a reference."""
    return variant_of(backend, variant).references or backend.references


def settings_of(backend: type[Backend], variant: str, profile: str) -> dict[str, Any]:
    """Return the settings of a variant, overridden by those of a profile."""
    stated = variant_of(backend, variant).settings
    return {**stated, **_profile(backend, variant, profile).settings}


def _profile(backend: type[Backend], variant: str, profile: str) -> Profile:
    fitting = (p for p in backend.profiles if variant in (p.variants or (variant,)))
    return next(p for p in fitting if p.name == profile)


def ack_means_of(
    backend: type[Backend], variant: str, profile: str, persistence: str = ""
) -> AckMeans:
    """Return the place of a task after its submit call; `persistence` is that of Redis.

    With an append-only file and ``appendfsync always``, Redis replies after an fsync.
    """
    stated = _profile(backend, variant, profile).ack_means or variant_of(backend, variant).ack_means
    is_synced = persistence == "aof-always" and Service.REDIS in services_of(backend, variant)
    return AckMeans.ON_DISK if is_synced and stated is AckMeans.ACCEPTED else stated


def contract_of(backend: type[Backend], variant: str, profile: str) -> Contract:
    """Return what a variant with a profile promises about a task."""
    return _profile(backend, variant, profile).contract or variant_of(backend, variant).contract


def setup_to_json(setup: BackendContext) -> str:
    """Write a setup without its jobs, for an environment variable of a process.

    Linux limits one variable to 128 KiB, and many jobs or long arguments need more.
    """
    return json.dumps(asdict(replace(setup, jobs=())))


def jobs_to_json(jobs: Sequence[Job]) -> str:
    """Write the jobs of a trial for the file `JOBS` in its folder."""
    return json.dumps([asdict(job) for job in jobs])


def setup_from_environment() -> BackendContext:
    """Read the setup of this process from ``LAB_SETUP``.

    Its jobs are in the file `JOBS`, next to the folder in ``LAB_LEDGER``.
    """
    fields = json.loads(os.environ["LAB_SETUP"])
    if ledger := os.environ.get("LAB_LEDGER"):
        file = Path(ledger).parent / JOBS
        fields["jobs"] = json.loads(file.read_text("utf-8")) if file.exists() else []
    return setup_from_json(fields)


def setup_from_json(fields: Mapping[str, Any]) -> BackendContext:
    """Rebuild a setup from the fields that JSON contains."""
    jobs = tuple(Job(**job) for job in fields["jobs"])
    return BackendContext(**{**fields, "topology": Topology(**fields["topology"]), "jobs": jobs})
