"""The contract that every adapter fulfils.

An adapter translates; it never measures and never paces. It has two required methods, `start` and
`stop`, and says by `Variant.capabilities` which of the others it means, `submit` among them.
One adapter is one file in `lab/backends/`; its heavy imports live inside its methods, so that
listing backends costs nothing and a missing package is told by name.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from lab.core.model import (
    Capability,
    Command,
    Job,
    Profile,
    Service,
    Setup,
    Task,
    Topology,
    Variant,
)

DEFAULT = Profile("default")
JOBS = "jobs.json"


@dataclass(frozen=True, slots=True)
class Monitor:
    """The system's own monitor: its documented command, and what it must answer over HTTP.

    The lab puts a free port of the loopback interface wherever `argv` says ``{port}``, and asks for
    `path` by GET with `headers`. The answer must hold `word`, which should be one that it holds
    only when the monitor sees the running cluster, such as the name of a worker or of a queue.
    """

    argv: tuple[str, ...]
    path: str
    word: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Backend(ABC):
    """A system under test, as the driver and the cluster see it.

    Class attributes state facts: `family` decides the colour in every figure, `packages` what must
    be importable (empty for the standard library), `extra` the install extra that brings it and
    what single variants need.
    The first variant and the first profile are what a bare backend name means.
    """

    family: ClassVar[str]
    summary: ClassVar[str]
    variants: ClassVar[Sequence[Variant]]
    profiles: ClassVar[Sequence[Profile]] = (DEFAULT,)
    packages: ClassVar[Sequence[str]] = ()
    extra: ClassVar[str] = ""
    services: ClassVar[Sequence[Service]] = ()
    # What its scheduler knows, where it has one: the shortest period, and whether cron lines.
    finest_period_s: ClassVar[float] = 1.0
    reads_cron: ClassVar[bool] = True
    # False only for `null`, which completes tasks without running them.
    executes: ClassVar[bool] = True
    # Labels of the references that no such system can beat: they run beside it, and its throughput
    # is compared with that of the first (METHOD M18).
    ceilings: ClassVar[Sequence[str]] = ()

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.workers = setup.topology.workers

    @abstractmethod
    def start(self) -> None:
        """Make the client or the pool ready to take tasks, in the driver's process."""

    @abstractmethod
    def stop(self) -> None:
        """Release everything that `start` made; a second call does nothing."""

    def submit(self, task: Task) -> Any:
        """Hand over one task by the system's own call and return its handle (`SUBMIT`)."""
        raise NotImplementedError

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Hand over a whole batch in one call (`Capability.BATCH`).

        The call may return before the tasks have ended, or when they have, as the system's does.
        """
        raise NotImplementedError

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for one task's result by the system's own call (`Capability.RESULT`).

        Raises:
            TimeoutError: No result came within `timeout_s` seconds.
        """
        raise NotImplementedError

    def submit_group(self, tasks: Sequence[Task]) -> Any:
        """Hand over tasks that the system itself joins, and return what `join` takes (`GROUP`).

        The call may return before they have ended, or when they have, as the system's does.
        """
        raise NotImplementedError

    def submit_chain(self, tasks: Sequence[Task]) -> Any:
        """Hand over tasks of which each starts when the one before has ended (`CHAIN`).

        Returns what `join` takes; where answers can be handed on or not, they are not.
        """
        raise NotImplementedError

    def join(self, handle: Any, timeout_s: float) -> None:
        """Wait by the system's own means until a whole group or chain has ended.

        Raises:
            TimeoutError: It had not in `timeout_s` seconds; where the system's join knows no
                timeout, the driver's deadline ends the trial.
        """
        raise NotImplementedError

    def submit_retrying(self, task: Task, delay_s: float = 0.0) -> Any:
        """Hand over one task that the system itself is to run again if it raises (`RETRY`).

        By the system's documented retry, at least once more and `delay_s` seconds later
        (`RETRY_DELAY`), or with 0 as soon as it can: its default delay may be minutes, which
        nobody waits for in a trial.
        """
        raise NotImplementedError

    def submit_with_priority(self, task: Task, *, urgent: bool) -> Any:
        """Hand over one task of high or of low priority (`Capability.PRIORITY`).

        An urgent task is to start before all that wait and are not. Where workers must be told
        of priorities (queues by name, priority steps), a variant of its own has those settings.
        """
        raise NotImplementedError

    def schedule(self, job: Job) -> Any:
        """Have the system run a job again and again, from now on; return what `unschedule` takes.

        What scheduled systems have of a client in the driver's process calls it for each job of a
        periodic trial (`Capability.RESCHEDULE`); where jobs are known beforehand (`SCHEDULE`
        alone), they are in the setup, and this is not called.
        """
        raise NotImplementedError

    def unschedule(self, handle: Any) -> None:
        """Have the system forget a job (`Capability.RESCHEDULE`)."""
        raise NotImplementedError

    def reschedule(self, handle: Any, job: Job) -> Any:
        """Have the system run a job that it has at other times from now on; return its handle.

        A system that has a call for it uses that (`Capability.RESCHEDULE`); of any other, the job
        is removed and added anew.
        """
        self.unschedule(handle)
        return self.schedule(job)

    def effective_settings(self) -> Mapping[str, Any]:
        """Every setting in force, defaults included, as JSON-able values; goes into the row."""
        return dict(self.setup.settings)

    @classmethod
    def node_commands(cls, setup: Setup) -> Sequence[Command]:
        """The worker processes of one node; empty for a system that lives in the driver."""
        return ()

    @classmethod
    def preparation(cls, setup: Setup) -> Sequence[Command]:
        """Commands that run to their end before the nodes start, such as `manage.py migrate`."""
        return ()

    @classmethod
    def scheduler_commands(cls, setup: Setup) -> Sequence[Command]:
        """The system's own scheduler, one for the cluster, in trials that have jobs."""
        return ()

    @classmethod
    def monitor(cls, setup: Setup) -> Monitor:
        """The system's own monitor, beside the cluster in trials that ask for it (`MONITOR`).

        It starts when every worker has answered, with the environment of the workers.
        """
        raise NotImplementedError

    @classmethod
    def server_environment(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Variables that a server reads which is a part of the system, as Dask's scheduler is."""
        return {}

    @classmethod
    def worker_environment(cls, setup: Setup) -> Mapping[str, str]:
        """Variables that the system's own commands read, beyond the lab's."""
        return {}


def capabilities(backend: type[Backend], variant: str) -> frozenset[Capability]:
    """What `variant` of `backend` promises."""
    return next(v.capabilities for v in backend.variants if v.name == variant)


def services_of(backend: type[Backend], variant: str) -> Sequence[Service]:
    """The servers that `variant` of `backend` needs beside its workers."""
    return next(v.services for v in backend.variants if v.name == variant) or backend.services


def ceilings_of(backend: type[Backend], variant: str) -> Sequence[str]:
    """The labels of the references that bound `variant` of `backend`; none for a reference."""
    return next(v.ceilings for v in backend.variants if v.name == variant) or backend.ceilings


def settings_of(backend: type[Backend], variant: str, profile: str) -> dict[str, Any]:
    """The settings of a variant, overridden by those of a profile."""
    chosen = next(v.settings for v in backend.variants if v.name == variant)
    fitting = (p for p in backend.profiles if variant in (p.variants or (variant,)))
    return {**chosen, **next(p.settings for p in fitting if p.name == profile)}


def setup_to_json(setup: Setup) -> str:
    """Write a setup, without its jobs, so that a process can read it back from its environment.

    One variable of a process holds 128 KiB, and many jobs, or long arguments, take more.
    """
    return json.dumps(asdict(replace(setup, jobs=())))


def jobs_to_json(jobs: Sequence[Job]) -> str:
    """Write the jobs of a trial for the file `JOBS` in its folder."""
    return json.dumps([asdict(job) for job in jobs])


def setup_from_environment() -> Setup:
    """Read the setup of this process from ``LAB_SETUP``.

    Its jobs are in the file `JOBS`, beside the folder that ``LAB_LEDGER`` names.
    """
    fields = json.loads(os.environ["LAB_SETUP"])
    if ledger := os.environ.get("LAB_LEDGER"):
        file = Path(ledger).parent / JOBS
        fields["jobs"] = json.loads(file.read_text("utf-8")) if file.exists() else []
    return setup_from_json(fields)


def setup_from_json(fields: Mapping[str, Any]) -> Setup:
    """Rebuild a setup from its fields as JSON gives them back."""
    jobs = tuple(Job(**job) for job in fields["jobs"])
    return Setup(**{**fields, "topology": Topology(**fields["topology"]), "jobs": jobs})
