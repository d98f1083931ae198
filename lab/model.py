"""The words of the lab as types: frozen, with units in the names, and without behaviour.

Standard library only, so that every room may import it. `TrialSpec.id` is a pure function of the
spec's fields: resume, pairing and "reproduce this row" all rest on that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Capability(StrEnum):
    """What a variant promises; what it does not promise is skipped with a sentence."""

    SUBMIT = "submit"  # takes one task at a time
    BATCH = "batch"  # takes a whole batch in one call, its documented way to take many
    RESULT = "result"  # hands a task's result back to the submitter
    COROUTINES = "coroutines"  # awaits coroutine functions instead of calling functions
    NODES = "nodes"  # workers may live on several nodes
    PARALLEL = "parallel"  # more than one worker slot
    SCHEDULE = "schedule"  # its own scheduler runs jobs that are known before it starts
    RESCHEDULE = "reschedule"  # jobs are added and removed while it runs
    RETRY = "retry"  # runs a task that raised again by itself, when asked to
    PRIORITY = "priority"  # lets an urgent task overtake those that wait
    MONITOR = "monitor"  # has a monitor of its own, which answers over HTTP


class Service(StrEnum):
    """A server that a backend needs beside its workers."""

    REDIS = "redis"
    RABBITMQ = "rabbitmq"
    POSTGRES = "postgres"
    DASK_SCHEDULER = "dask-scheduler"
    CRON = "cron"


class Status(StrEnum):
    """How a trial ended."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class Flag(StrEnum):
    """Whether a trial's numbers may be used (METHOD M23)."""

    OK = "ok"
    NOISY = "noisy"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of documented settings: `default`, `safe` or `tuned` (METHOD M5).

    `why` justifies each setting with a sentence and its source; `default` needs none. `variants`
    are those for which it changes something, where not all; where they differ in their settings,
    each group has a profile of that name.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    why: str = "As installed."
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One documented way to run a backend, and what it promises then.

    `services`, if any, stand in for the backend's; `packages` are needed beside the backend's.
    """

    name: str
    capabilities: frozenset[Capability]
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Burst:
    """All tasks are offered at once; every intended instant is the start of the window."""

    kind: ClassVar[str] = "burst"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Paced:
    """Open loop: the instants are fixed beforehand and never react to completions (METHOD M6).

    `gaps` is ``"poisson"`` or ``"uniform"``; `rate_hz` is the offered rate in tasks per second.
    """

    kind: ClassVar[str] = "paced"
    n_tasks: int
    rate_hz: float
    gaps: str = "poisson"


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One task at a time, each waited for with the system's own result call."""

    kind: ClassVar[str] = "roundtrip"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Periodic:
    """Jobs that the system's own scheduler runs again and again; each task is one job.

    All have one schedule: an interval of `every_s` seconds, or `cron`, a line of five fields in
    UTC. After its first run each job owes `n_occurrences` (METHOD M26). With `is_removed` the jobs
    are then removed while the system runs, and three more periods show whether that was heeded.
    """

    kind: ClassVar[str] = "periodic"
    n_tasks: int
    n_occurrences: int
    every_s: float = 0.0
    cron: str = ""
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Retried:
    """A burst that the system is asked to retry; each task raises the first time it runs."""

    kind: ClassVar[str] = "retried"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A burst of tasks of low priority, the last `n_urgent` of which are urgent."""

    kind: ClassVar[str] = "ranked"
    n_tasks: int
    n_urgent: int


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A burst whose submitter is killed as soon as all of it was accepted."""

    kind: ClassVar[str] = "abandoned"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Monitored:
    """A burst that is offered once the system's own monitor has answered."""

    kind: ClassVar[str] = "monitored"
    n_tasks: int


Arrival = Burst | Paced | RoundTrip | Periodic | Retried | Ranked | Abandoned | Monitored
ARRIVALS: Mapping[str, type[Arrival]] = {kind.kind: kind for kind in Arrival.__args__}


@dataclass(frozen=True, slots=True)
class Topology:
    """How many nodes, cores on each, and worker slots on each.

    `quota_cpus` is how much CPU time each node may use, in CPUs; 0 means all of its cores.
    """

    nodes: int
    cores_per_node: int
    workers_per_node: int
    quota_cpus: float = 0.0

    @property
    def workers(self) -> int:
        """All worker slots of the cluster."""
        return self.nodes * self.workers_per_node


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work as it is handed to a backend."""

    id: int
    function: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Job:
    """A task that a system's own scheduler runs again and again, each run under the same `id`.

    Either `every_s` is its interval in seconds, or `cron` is a line of five fields in UTC.
    """

    id: int
    function: str
    argument: Any
    every_s: float = 0.0
    cron: str = ""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything that decides what one trial does.

    `size` is in the workload's calibrated unit (for `cpu`: loop iterations); `nominal_ns` is the
    duration that size was calibrated to, 0 where the workload has none. `seed` decides arrival
    instants and arguments and is equal for every backend of a block (METHOD M4).
    """

    backend: str
    variant: str
    profile: str
    workload: str
    size: int
    nominal_ns: int
    arrival: Arrival
    topology: Topology
    provider: str
    block: int
    seed: int
    warmup_tasks: int
    deadline_s: float

    @property
    def label(self) -> str:
        """``backend[variant]@profile``, the one name of a row in tables and figures."""
        return f"{self.backend}[{self.variant}]@{self.profile}"

    @property
    def id(self) -> str:
        """Sixteen hex digits of the sha256 of the fields."""
        fields = asdict(self) | {"arrival": [self.arrival.kind, asdict(self.arrival)]}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Setup:
    """What an adapter is told: who it is, how big, and where its services listen.

    `jobs` are those that the system's scheduler is to know before it starts.
    """

    backend: str
    variant: str
    profile: str
    topology: Topology
    settings: Mapping[str, Any]
    endpoints: Mapping[str, str]
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One process of a cluster: the system's own documented command.

    `slots` is how many worker slots the process serves; a scheduler and a preparation have none.
    """

    argv: tuple[str, ...]
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    `low` and `high` are None where the sample supports no interval; `method` says why or how.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
