"""Defines the lab's terms as types: frozen, with units in their names, and without behaviour.

Standard library only, so that every module may import it. `TrialSpec.id` is a pure function of the
spec's fields: `--resume`, the pairing of runs and `lab reproduce` depend on that.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import MISSING, InitVar, asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from lab.core.arrivals import *  # noqa: F403 (types of the model, in a separate file)
from lab.core.arrivals import FORMER_KINDS, Arrival
from lab.core.faults import Fault, FaultKind
from lab.core.outcomes import AckMeans, Contract
from lab.core.task import *  # noqa: F403 (types of the model, in a separate file)
from lab.core.task import Job


class Capability(StrEnum):
    """A capability that a variant promises; trials that need another are skipped with a reason."""

    SUBMIT = "submit"  # takes one task at a time
    BATCH = "batch"  # takes a whole batch in one call, its documented way to take many
    RESULT = "result"  # hands a task's result back to the submitter
    COROUTINES = "coroutines"  # awaits coroutine functions; calls no functions
    AWAITS = "awaits"  # calls functions, and awaits coroutine functions by itself
    NODES = "nodes"  # workers may run on several nodes
    PARALLEL = "parallel"  # more than one worker slot
    SCHEDULE = "schedule"  # its own scheduler runs jobs that are known before it starts
    RESCHEDULE = "reschedule"  # jobs are added, changed and removed while it runs
    RETRY = "retry"  # runs a task that raised again by itself, if configured
    RETRY_DELAY = "retry-delay"  # waits a given delay before a retry
    PRIORITY = "priority"  # runs an urgent task before other waiting tasks
    GROUP = "group"  # detects by itself that all tasks of a group have ended
    CHAIN = "chain"  # starts each task of a chain when the one before has ended
    MONITOR = "monitor"  # has a monitor, which answers over HTTP


class Serializer(StrEnum):
    """The serializer of tasks on their way to a worker: ``module:function`` of the encoder."""

    MEMORY = ""  # none: submitter and worker share a process
    PICKLE = "pickle:dumps"
    CLOUDPICKLE = "cloudpickle:dumps"
    JSON = "kombu.utils.json:dumps"
    PLAIN_JSON = "json:dumps"  # of the standard library, which refuses bytes


class Service(StrEnum):
    """A server that a backend needs beside its workers."""

    REDIS = "redis"
    RABBITMQ = "rabbitmq"
    POSTGRES = "postgres"
    DASK_SCHEDULER = "dask-scheduler"
    CRON = "cron"


class Status(StrEnum):
    """The status at the end of a trial."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class Flag(StrEnum):
    """The quality of a trial's numbers (METHOD M23).

    - `ok`, `noisy`: the numbers count.
    - `disturbed`: the machine or the generator distorted the numbers. They are shown, marked as
      such, and no estimate, comparison or ranking uses them.
    - `invalid`: the records are wrong or contradict each other, so there are no numbers.
    """

    OK = "ok"
    NOISY = "noisy"
    DISTURBED = "disturbed"
    INVALID = "invalid"


# The flags of trials whose numbers are used.
COUNTED_FLAGS = (Flag.OK, Flag.NOISY)


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of documented settings: `default`, `safe` or `tuned` (METHOD M5).

    - `why`: justifies each setting with a sentence and its source; `default` needs none.
    - `variants`: the variants that the profile applies to; empty: all. If variants need different
      settings, each group of them has a profile of the same name.
    - `ack_means`, `contract`: replace those of the variant, if the settings change them.
    - `safe_against`: faults after which, as documented, no acknowledged task is lost; `why` has
      the source.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    why: str = "As installed."
    variants: tuple[str, ...] = ()
    ack_means: AckMeans | None = None
    contract: Contract | None = None
    safe_against: tuple[FaultKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One documented way to run a backend, with the capabilities that it then promises.

    - `services`, `references`: if not empty, they replace those of the backend.
    - `packages`: needed in addition to those of the backend.
    - `serializer`: that of arguments and answers, and of the function unless `sends_name`.
    - `sends_name`: a message has the name of the function, which the worker has registered.
    - `carrier`: deprecated name of `serializer`.
    - `ack_means`: where a task is when its submit call returns; the default promises least.
    - `contract`: what the system promises about a task; the default promises least.
    - `redelivers_failed`: a task that raised is delivered again, although no retry was requested.
    """

    name: str
    capabilities: frozenset[Capability]
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    packages: tuple[str, ...] = ()
    serializer: Serializer = Serializer.PICKLE
    references: tuple[str, ...] = ()
    ack_means: AckMeans = AckMeans.IN_MEMORY
    contract: Contract = Contract.POOL
    sends_name: bool = False
    redelivers_failed: bool = False
    carrier: InitVar[Serializer | None] = None

    def __post_init__(self, carrier: Serializer | None) -> None:
        """Accept the deprecated name of `serializer`."""
        if carrier is not None:
            warnings.warn(
                "Variant.carrier is deprecated and will be removed in the next release: "
                "name it serializer.",
                DeprecationWarning,
                stacklevel=3,  # the call of the generated `__init__`
            )
            object.__setattr__(self, "serializer", carrier)


@dataclass(frozen=True, slots=True)
class Topology:
    """The number of nodes, of cores on each, and of worker slots on each; and that of drivers.

    - `quota_cpus`: the CPU time that each node may use, in CPUs; 0 means all of its cores.
    - `drivers`: the processes that offer the tasks, each its share of one plan.
    """

    nodes: int
    cores_per_node: int
    workers_per_node: int
    quota_cpus: float = 0.0
    drivers: int = 1

    @property
    def workers(self) -> int:
        """The number of worker slots of the cluster."""
        return self.nodes * self.workers_per_node


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """The complete specification of one trial.

    - `size`: in the workload's calibrated unit (for `cpu`: loop iterations).
    - `nominal_ns`: the calibrated duration of that size; 0 if the workload has none.
    - `seed`: determines arrival instants and arguments; equal for every backend of a block
      (METHOD M4).
    - `answer`: the checksum of the answer of an inline call of a user's function; None if there
      is none.
    - `unchecked`: the reason why the answers of the window are not checked; empty: they are. The
      answers of the warm-up are checked whenever there is an `answer`.
    - `check_ns`: the time of each check.
    - `pass_env`: names of the user's environment variables that driver and workers get.
    - `is_coroutine`: whether the user's function is a coroutine function.
    - `fault`: the deliberate failure in the window; None: nothing fails.
    - `is_uncertain`: whether the calls of a user's function were disturbed, so that `nominal_ns`
      serves the plan alone and no number is computed from it.
    - `environment`: text of the `Environment` of driver and workers; empty: that of the lab.
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
    fault: Fault | None = None
    is_uncertain: bool = False
    environment: str = ""

    @property
    def label(self) -> str:
        """``backend[variant]@profile``, the name of a row in tables and figures."""
        return f"{self.backend}[{self.variant}]@{self.profile}"

    @property
    def id(self) -> str:
        """Sixteen hex digits of the sha256 of the fields."""
        kind = FORMER_KINDS.get(self.arrival.kind, self.arrival.kind)
        values = asdict(self) | {"arrival": [kind, asdict(self.arrival)]}
        # Without fields at their defaults, so that new fields do not change the ids of older runs.
        for field_ in _NEWER_FIELDS:
            if values[field_.name] == field_.default:
                del values[field_.name]
        if self.topology.drivers == Topology.__dataclass_fields__["drivers"].default:
            del values["topology"]["drivers"]
        if self.fault is not None:  # the same for its fields
            values["fault"] = {
                name: value
                for name, value in asdict(self.fault).items()
                if value != Fault.__dataclass_fields__[name].default
            }
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_NEWER_FIELDS = tuple(each for each in fields(TrialSpec) if each.default is not MISSING)


@dataclass(frozen=True, slots=True)
class BackendContext:
    """The input of an adapter: its label, its topology and settings, and its servers' endpoints.

    - `jobs`: the jobs that the backend's scheduler must know before it starts.
    - `password`: protects the backend's monitor from other users of the machine.
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
    """A process of a cluster: a documented command, and its number of worker slots."""

    argv: tuple[str, ...]
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; without one, both ends are None and `method` has the reason."""

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
