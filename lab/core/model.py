"""The words of the lab as types: frozen, with units in the names, and without behaviour.

Standard library only, so that every room may import it. `TrialSpec.id` is a pure function of the
spec's fields: resume, pairing and "reproduce this row" all rest on that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from lab.core.arrivals import *  # noqa: F403 (words of the model, in a file of their own)
from lab.core.arrivals import Arrival


class Capability(StrEnum):
    """What a variant promises; what it does not promise is skipped with a sentence."""

    SUBMIT = "submit"  # takes one task at a time
    BATCH = "batch"  # takes a whole batch in one call, its documented way to take many
    RESULT = "result"  # hands a task's result back to the submitter
    COROUTINES = "coroutines"  # awaits coroutine functions instead of calling functions
    AWAITS = "awaits"  # calls functions, and awaits coroutine functions by itself
    NODES = "nodes"  # workers may live on several nodes
    PARALLEL = "parallel"  # more than one worker slot
    SCHEDULE = "schedule"  # its own scheduler runs jobs that are known before it starts
    RESCHEDULE = "reschedule"  # jobs are added, changed and removed while it runs
    RETRY = "retry"  # runs a task that raised again by itself, when asked to
    RETRY_DELAY = "retry-delay"  # and waits before that for as long as it is told
    PRIORITY = "priority"  # lets an urgent task overtake those that wait
    GROUP = "group"  # tells by itself when all tasks of a group have ended
    CHAIN = "chain"  # starts each task of a chain when the one before has ended
    MONITOR = "monitor"  # has a monitor of its own, which answers over HTTP


class Carrier(StrEnum):
    """How a task gets from the submitter to a worker: by name, the encoder that writes it down."""

    MEMORY = ""  # not at all: both live in one process
    PICKLE = "pickle:dumps"
    CLOUDPICKLE = "cloudpickle:dumps"
    JSON = "kombu.utils.json:dumps"


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

    `services` and `ceilings`, if any, stand in for the backend's; `packages` are needed beside the
    backend's. `carrier` is what functions, arguments and answers must bear on their way.
    """

    name: str
    capabilities: frozenset[Capability]
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    packages: tuple[str, ...] = ()
    carrier: Carrier = Carrier.PICKLE
    ceilings: tuple[str, ...] = ()


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
    instants and arguments and is equal for every backend of a block (METHOD M4). `answer` is the
    checksum that an inline call of the user's own function gave, None where it told none.
    `unchecked` says why the answers of its window are not checked, empty where they are; those of
    its warm-up are wherever there is an `answer`. `check_ns` is what each check takes;
    `is_coroutine` says that the function is a coroutine function. `pass_env` names the user's
    variables that driver and workers are given.
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
    answer: int | None = None
    unchecked: str = ""
    check_ns: int = 0
    pass_env: tuple[str, ...] = ()
    is_coroutine: bool = False

    @property
    def label(self) -> str:
        """``backend[variant]@profile``, the one name of a row in tables and figures."""
        return f"{self.backend}[{self.variant}]@{self.profile}"

    @property
    def id(self) -> str:
        """Sixteen hex digits of the sha256 of the fields."""
        values = asdict(self) | {"arrival": [self.arrival.kind, asdict(self.arrival)]}
        # As in older runs, which had none of these fields.
        for new in _NEWER_FIELDS:
            if values[new.name] == new.default:
                del values[new.name]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_NEWER_FIELDS = tuple(each for each in fields(TrialSpec) if each.default is not MISSING)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What inline calls of a function of the user's own showed before the run.

    `nominal_ns` is how long the last call took, 0 if none returned; `answer` is the checksum of the
    right answer, None where there is none. `trouble` says why answers are not checked in the
    window, empty where they are; `check_ns` is then what that takes for each. `failure` says how a
    call failed, empty where all returned. `refusals` are pairs of a `Carrier` and the sentence why
    it cannot carry function, arguments or answer.
    """

    nominal_ns: int
    answer: int | None
    is_coroutine: bool
    trouble: str
    refusals: tuple[tuple[str, str], ...] = ()
    check_ns: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an adapter is told: who it is, how big, and where its services listen.

    `jobs` are those that the system's scheduler is to know before it starts. `password` opens what
    the trial itself starts, and no other user of the machine may open: the system's monitor.
    """

    backend: str
    variant: str
    profile: str
    topology: Topology
    settings: Mapping[str, Any]
    endpoints: Mapping[str, str]
    jobs: tuple[Job, ...] = ()
    password: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A process of a cluster: a documented command, and how many worker slots it serves."""

    argv: tuple[str, ...]
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; both ends are None where there is none, and `method` says why."""

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
