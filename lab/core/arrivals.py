"""How tasks are offered, as words: what each kind of arrival is, and nothing that it does.

`lab.core.model` has them beside its other words, and everybody takes them from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Burst:
    """All tasks are offered at once; every intended instant is the start of the window."""

    kind: ClassVar[str] = "burst"
    n_tasks: int


@dataclass(frozen=True, slots=True)
class Paced:
    """Open loop: the instants are fixed beforehand and never react to completions (METHOD M6).

    `gaps` is one of `lab.driver.pacing.GAPS`; `rate_hz` is the offered rate in tasks per second.
    """

    kind: ClassVar[str] = "paced"
    n_tasks: int
    rate_hz: float
    gaps: str = "poisson"


class Probe(Paced):
    """Asks whether a rate can be sustained (METHOD M8)."""

    kind: ClassVar[str] = "probe"


class Step(Paced):
    """A step of a load ladder, at a rate to which probes have led (METHOD M8)."""

    kind: ClassVar[str] = "ladder"


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
    """A burst that the system is asked to retry; each task raises the first time it runs.

    It is to wait `delay_s` seconds before that; 0 means as soon as it can.
    """

    kind: ClassVar[str] = "retried"
    n_tasks: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A burst of tasks of low priority, the last `n_urgent` of which are urgent."""

    kind: ClassVar[str] = "ranked"
    n_tasks: int
    n_urgent: int


@dataclass(frozen=True, slots=True)
class FanOut:
    """Groups of `width` tasks, one after the other, each waited for by the system's own join."""

    kind: ClassVar[str] = "fanout"
    n_tasks: int
    width: int


@dataclass(frozen=True, slots=True)
class Chained:
    """Chains of `length` tasks, one after the other; each task starts when the one before ended."""

    kind: ClassVar[str] = "chained"
    n_tasks: int
    length: int


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


@dataclass(frozen=True, slots=True)
class Idle:
    """No task at all for `seconds`, once every worker has worked: what waiting costs (M25)."""

    kind: ClassVar[str] = "idle"
    n_tasks: ClassVar[int] = 0
    seconds: float


Arrival = (
    Burst
    | Paced
    | Probe
    | Step
    | RoundTrip
    | Periodic
    | Retried
    | Ranked
    | FanOut
    | Chained
    | Abandoned
    | Monitored
    | Idle
)
ARRIVALS: Mapping[str, type[Arrival]] = {kind.kind: kind for kind in Arrival.__args__}
