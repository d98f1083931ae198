"""Defines the contract of a provider, which starts, measures and stops the cluster of a trial.

The campaign uses providers only through this class. Each file in `lab/providers/` has one provider.
"""

from __future__ import annotations

import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar, NamedTuple, Protocol

from lab.core import placement
from lab.core.backend import Backend
from lab.core.environment_provider import Environments, NoEnvironments
from lab.core.errors import ClusterError
from lab.core.fault_hooks import FaultHooks
from lab.core.faults import FaultKind
from lab.core.model import BackendContext, Job, Periodic, Service, Topology, TrialSpec
from lab.core.placement import Placement


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU time by role since the processes started, in nanoseconds.

    Under a CPU quota: `quota_periods` of all nodes, and `throttled_periods`, in which the quota
    paused a node.
    """

    driver_ns: int
    services_ns: int
    workers_ns: int
    quota_periods: int = 0
    throttled_periods: int = 0


@dataclass(frozen=True, slots=True)
class TrialContext:
    """The context of one attempt at one trial.

    Attributes:
        spec: The trial.
        backend: The adapter's class.
        folder: The folder of the attempt.
        placement: The CPUs of each role.
        environment: Labels and other variables for every process of the trial.
        jobs: The jobs for the backend's scheduler.
        passed: Variables of the user (`--pass-env`) for driver and workers.
        has_users_code: Whether driver and workers import modules of the user.
        python: The interpreter of driver and workers.
    """

    spec: TrialSpec
    backend: type[Backend]
    folder: Path
    placement: Placement
    environment: Mapping[str, str]
    jobs: tuple[Job, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)
    has_users_code: bool = False
    python: str = sys.executable

    @property
    def ledger(self) -> Path:
        """Return the folder of the workers' records."""
        return self.folder / "ledger"

    @property
    def persistence(self) -> str:
        """Return the `Persistence` of the trial's Redis; empty: that of the lab's servers."""
        return self.spec.fault.persistence if self.spec.fault else ""

    @property
    def schedules_in_workers(self) -> bool:
        """Return whether the workers start the jobs of the trial, so that they are schedulers."""
        return self.backend.schedules_in_workers and isinstance(self.spec.arrival, Periodic)

    @property
    def has_faked_clocks(self) -> bool:
        """Return whether a fault may step the wall clocks of workers and schedulers.

        They are prepared for it in the control as well.
        """
        kinds = (FaultKind.CLOCK_STEP, FaultKind.NONE)
        return self.spec.fault is not None and self.spec.fault.kind in kinds

    @property
    def logs(self) -> Path:
        """Return the folder with the output of the trial's processes."""
        return self.folder / "logs"


class DriverProcess(Protocol):
    """The driver of a trial, as `subprocess.Popen` or in a container."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Return the pipe to its standard input."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Return the pipe from its standard output; its file descriptor can be selected."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code."""


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """The address of a node's agent; the node's machine has a clock and a disk of its own."""

    node: int
    host: str
    port: int

    @property
    def name(self) -> str:
        """The node's name in messages."""
        return f"node {self.node}"


class CounterReading(NamedTuple):
    """One reading of one counter of one part of a cluster."""

    source: str
    metric: str
    value: float
    unit: str


class Cluster(FaultHooks, ABC):
    """One running topology with its servers.

    Attributes:
        offers: The services that the provider can start.
        has_quotas: Whether it can limit the CPU time of a node.
        environments: Creates the environments of `--with` and `--python`.
        is_on_host: Whether the processes of its clusters are processes of this machine. Arrivals
            that kill the submitter or query a monitor need that.
        shares_files: Whether driver and nodes have a folder in common, as a system needs that keeps
            its tasks in a file.
        start_s: Seconds that a cluster takes to start, in addition to its processes; only for
            estimates.
    """

    offers: ClassVar[frozenset[Service]]
    has_quotas: ClassVar[bool] = False
    environments: ClassVar[Environments] = NoEnvironments()
    is_on_host: ClassVar[bool] = False
    shares_files: ClassVar[bool] = True
    start_s: ClassVar[float] = 0.0

    @classmethod
    def offered(cls) -> frozenset[Service]:
        """Return the services of `offers` that are available on this machine now."""
        return cls.offers

    @classmethod
    def place(cls, topology: Topology, *, has_services: bool, in_driver: bool) -> Placement:
        """Return the CPUs of each role of a trial; `in_driver` as for `lab.core.placement.place`.

        Raises:
            ClusterError: A machine of the provider is not usable.
        """
        cpus = placement.available_cpus()
        return placement.place(cpus, topology, has_services=has_services, in_driver=in_driver)

    @classmethod
    def require_importable(cls, workload: str) -> None:
        """Check that drivers and workers can import the function of a user's workload.

        Raises:
            ClusterError: They cannot; the message has the next step.
        """

    @classmethod
    def benchmark_redis(cls, command: Sequence[str]) -> str:  # noqa: ARG003 (it cannot run it)
        """Run redis-benchmark against a new server, and return its output.

        Raises:
            LabError: The tool is missing, failed or took too long, or this provider cannot run it.
        """
        raise ClusterError(f"{cls.__name__} cannot run redis-benchmark.")

    def __init__(self, site: TrialContext) -> None:
        self.site = site
        # A new password for each trial. It is passed only by environment and standard input,
        # because all users of the machine can read arguments, and files of a run are published.
        self.password = secrets.token_hex(16)
        # Name and version of each server, for the trial row.
        self.services = ""
        # The containers' images with their ids; empty without containers.
        self.images = ""
        # The host of each node, nodes separated by |; empty if all are on this machine.
        self.hosts = ""
        # Start of the first worker command in ns of CLOCK_MONOTONIC; None without workers.
        self.executed_ns: int | None = None

    @abstractmethod
    def up(self) -> BackendContext:
        """Start servers and nodes, and return the setup for the driver's adapter.

        Raises:
            ClusterError: A part did not start; the message names it and the reason.
        """

    @abstractmethod
    def start_driver(self) -> DriverProcess:
        """Start the trial's driver with its standard input and output piped to the caller.

        The site's folder contains ``trial.json``. When `down` has returned, it also contains the
        files of the driver and the workers.
        """

    @property
    def agents(self) -> tuple[AgentAddress, ...]:
        """Return the agents of the nodes; empty if the workers write the ledger of this kernel."""
        return ()

    def write_record(self, name: str, content: bytes) -> None:
        """Write a file into the site's folder, where `down` does not replace it."""
        (self.site.folder / name).write_bytes(content)

    def monitor(self) -> str:
        """Start the backend's monitor, and return its answer when it shows the workers.

        Raises:
            ClusterError: It does not show them, or this provider supports no monitor.
        """
        raise ClusterError(f"{type(self).__name__} cannot run a monitor. Use --provider local.")

    @abstractmethod
    def cpu(self, roles: Mapping[str, Sequence[int]]) -> CpuUse:
        """Return the CPU time of each role since its processes started.

        `roles` is the result of `processes`; to list them takes longer than to read their times.
        """

    def processes(self) -> Mapping[str, Sequence[int]]:
        """Return the process ids of driver, services and workers on this machine.

        The result is empty if they run on another machine.
        """
        return {}

    def drivers_of(self, tree: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Divide the process tree of the first driver into the trial's drivers and workers.

        Its children are further drivers, if the trial has several, and otherwise workers.
        """
        n = 1 if self.site.spec.topology.drivers == 1 else len(tree)
        return tree[:n], tree[n:]

    def prove(self) -> None:
        """Check the trial's connections; if a part has died, that is the reported reason.

        Raises:
            ClusterError: A part has died, or a connection is wrong or missing.
        """
        try:
            self.prove_connections()
        except ClusterError as error:
            raise ClusterError(self.failure() or self.cause_of(error)) from error

    def cause_of(self, error: Exception) -> str:
        """Return the reason of an error that ended the trial: its text, unless a part caused it."""
        return " ".join(str(error).split())

    @abstractmethod
    def prove_connections(self) -> None:
        """Check that all connections stay in this cluster, and that workers reach its servers.

        Raises:
            ClusterError: A part is connected elsewhere, or not at all; the message names it.
        """

    def counters(self) -> Sequence[CounterReading]:
        """Return further counters of the cluster's parts that can be read at low cost."""
        return ()

    @abstractmethod
    def failure(self) -> str | None:
        """Return one sentence that names a part that has died, otherwise None."""

    @abstractmethod
    def down(self) -> int:
        """Stop everything, and return the number of leftover processes that were killed."""
