"""The contract of a provider: a topology up, a driver in it, CPU by role, and all of it down.

The campaign knows no more than this of where workers run; `lab/providers/` has a file for each.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import ClassVar, NamedTuple

from lab.core.backend import Backend
from lab.core.errors import ClusterError
from lab.core.model import Job, Service, Setup, TrialSpec
from lab.core.placement import Placement


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU seconds used since their processes began, by role, in nanoseconds.

    Of nodes under a CPU quota also the quota's periods, and those in which it stopped them.
    """

    driver_ns: int
    services_ns: int
    workers_ns: int
    quota_periods: int = 0
    throttled_periods: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """Where one attempt at one trial takes place: its folder, its CPUs, its labels.

    `environment` is given to every process of the trial; `jobs` are for the system's scheduler.
    Driver and workers are given the user's variables `passed` as well; with `has_users_code` they
    import what is not the lab's.
    """

    spec: TrialSpec
    backend: type[Backend]
    folder: Path
    placement: Placement
    environment: Mapping[str, str]
    jobs: tuple[Job, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)
    has_users_code: bool = False

    @property
    def ledger(self) -> Path:
        """The folder that every worker writes its records into."""
        return self.folder / "ledger"

    @property
    def logs(self) -> Path:
        """The folder of what the trial's processes printed."""
        return self.folder / "logs"


class Counter(NamedTuple):
    """One reading of one counter of one part of a cluster."""

    source: str
    metric: str
    value: float
    unit: str


class Cluster(ABC):
    """One running topology with its services.

    `offers` are those that the provider can start; `has_quotas` says whether it can hold a node to
    part of its cores' time.
    """

    offers: ClassVar[frozenset[Service]]
    has_quotas: ClassVar[bool] = False

    @classmethod
    def offered(cls) -> frozenset[Service]:
        """The servers of `offers` that this machine has, as it is now."""
        return cls.offers

    def __init__(self, site: Site) -> None:
        self.site = site
        # One for each trial. It reaches processes by their environment and by standard input only:
        # arguments are for every user of the machine to read, and files of a run are published.
        self.password = secrets.token_hex(16)
        # What each server says of itself, for the row.
        self.services = ""
        # Which images the containers were made from, with their ids; empty without containers.
        self.images = ""
        # When the first worker command was started, in ns of CLOCK_MONOTONIC; None where none is.
        self.executed_ns: int | None = None

    @abstractmethod
    def up(self) -> Setup:
        """Start services and nodes, and return what the driver's adapter must be told.

        Raises:
            ClusterError: Something did not come up; the message says what and why.
        """

    @abstractmethod
    def start_driver(self) -> Popen[bytes]:
        """Start the trial's driver, its standard input and output piped to the caller.

        The site's folder holds ``trial.json``; what the driver and the workers write is there
        again when `down` has returned.
        """

    def monitor(self) -> str:
        """Start the system's own monitor, and return what it answers once it sees the workers.

        Raises:
            ClusterError: It does not; or this provider cannot ask it.
        """
        raise ClusterError(f"{type(self).__name__} has no way to ask a monitor.")

    @abstractmethod
    def cpu(self) -> CpuUse:
        """Read the CPU time that each role has used since it began."""

    def processes(self) -> Mapping[str, Sequence[int]]:
        """Return the process ids of driver, services and workers, as this machine numbers them.

        Empty where they are on another machine.
        """
        return {}

    def prove(self) -> None:
        """Prove the trial's connections; where a part has died, that is the reason.

        Raises:
            ClusterError: There is no proof.
        """
        try:
            self.prove_connections()
        except ClusterError as error:
            raise ClusterError(self.failure() or str(error)) from error

    @abstractmethod
    def prove_connections(self) -> None:
        """Prove that each part is connected to parts of this cluster only, workers to its servers.

        Raises:
            ClusterError: One is connected elsewhere, or not at all; the message says which.
        """

    def counters(self) -> Sequence[Counter]:
        """Read what else this provider can tell of its parts, without disturbing them."""
        return ()

    @abstractmethod
    def failure(self) -> str | None:
        """Say in one sentence which part has died, or None while all is well."""

    @abstractmethod
    def down(self) -> int:
        """Take everything down, and return how many processes had to be killed as leftovers."""
