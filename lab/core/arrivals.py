"""Defines the kinds of arrival as data: how the tasks of a trial are offered.

Other modules import them from `lab.core.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

GAPS = ("poisson", "uniform", "bursty")


@dataclass(frozen=True, slots=True)
class Burst:
    """All tasks at once; each task is due at the start of the window."""

    kind: ClassVar[str] = "burst"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Paced:
    """An open loop: the due instants are fixed in advance and ignore completions (METHOD M6).

    `gaps` is one of `GAPS`; `rate_hz` is the offered rate in tasks per second.
    """

    kind: ClassVar[str] = "paced"
    n_tasks: int
    rate_hz: float
    gaps: str = "poisson"


class RateProbe(Paced):
    """A paced trial of the search for the sustainable rate (METHOD M8)."""

    kind: ClassVar[str] = "rate-probe"


class LoadLevel(Paced):
    """A load level: a paced trial at a fraction of the sustainable rate (METHOD M8)."""

    kind: ClassVar[str] = "load-level"


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A closed loop: one task at a time, each awaited with the backend's result call."""

    kind: ClassVar[str] = "round-trip"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Periodic:
    """Jobs that the backend's scheduler runs again and again; each task is one job.

    All have one schedule: an interval of `every_s` seconds, or `cron`, a line of five fields in
    UTC. After its first firing each job is due `n_occurrences` times (METHOD M26). With
    `is_removed` the jobs are then removed while the backend runs, and three more periods show
    whether a removed job still fires.
    """

    kind: ClassVar[str] = "periodic"
    n_tasks: int
    n_occurrences: int
    every_s: float = 0.0
    cron: str = ""
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """A burst of tasks that raise in their first execution and are retried by the backend.

    The backend should retry after `delay_s` seconds; 0 means as soon as possible.
    """

    kind: ClassVar[str] = "retry"
    n_tasks: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Priority:
    """A burst of tasks with low priority, except for the last `n_urgent`, which have a high one."""

    kind: ClassVar[str] = "priority"
    n_tasks: int
    n_urgent: int


@dataclass(frozen=True, slots=True)
class FanOut:
    """Groups of `width` tasks, one group at a time, each awaited with the backend's join."""

    kind: ClassVar[str] = "group"
    n_tasks: int
    width: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Chains of `length` tasks, one chain at a time; a task starts when the previous one ended."""

    kind: ClassVar[str] = "chain"
    n_tasks: int
    length: int


@dataclass(frozen=True, slots=True)
class ClientCrash:
    """A burst whose driver is killed as soon as all tasks are acknowledged."""

    kind: ClassVar[str] = "client-crash"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Monitoring:
    """A burst that is offered after the backend's monitor has answered."""

    kind: ClassVar[str] = "monitoring"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Idle:
    """No task for `seconds`, after every worker has run one: measures the idle cost (M25)."""

    kind: ClassVar[str] = "idle"
    n_tasks: ClassVar[int] = 0
    seconds: float


Arrival = (
    Burst
    | Paced
    | RateProbe
    | LoadLevel
    | RoundTrip
    | Periodic
    | Retry
    | Priority
    | FanOut
    | Chain
    | ClientCrash
    | Monitoring
    | Idle
)
ARRIVALS: Mapping[str, type[Arrival]] = {kind.kind: kind for kind in Arrival.__args__}
PARAMETER_NAMES: Mapping[str, str] = {
    FanOut.kind: "tasks_per_group",
    Chain.kind: "tasks_per_chain",
    Priority.kind: "urgent_tasks",
    Retry.kind: "retry_delay_s",
}
"""The meaning of the parameter of each kind of arrival that has one."""
# The names of kinds before schema 2.0. Trial ids contain them, so that an id has the same trial in
# every version. Plans and command lines may contain them too.
FORMER_KINDS: Mapping[str, str] = {
    LoadLevel.kind: "ladder",
    RateProbe.kind: "probe",
    RoundTrip.kind: "roundtrip",
    Retry.kind: "retried",
    Priority.kind: "ranked",
    FanOut.kind: "fanout",
    Chain.kind: "chained",
    ClientCrash.kind: "abandoned",
    Monitoring.kind: "monitored",
}
_RENAMED_KINDS = {former: kind for kind, former in FORMER_KINDS.items()}


def present_kind(name: str) -> str:
    """Return the present name of a kind of arrival; any other name is returned unchanged."""
    return _RENAMED_KINDS.get(name, name)
