"""Runs a cluster as plain processes on this machine, pinned by CPU affinity."""

from __future__ import annotations

import shlex
import string
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import ClassVar

from lab.core.backend import JOBS, jobs_to_json, services_of, settings_of, setup_to_json, variant_of
from lab.core.errors import ClusterError
from lab.core.faults import Role
from lab.core.model import BackendContext, Command, Serializer, Service
from lab.core.provider import Cluster, CpuUse, TrialContext
from lab.environments import preparation
from lab.host import (
    child_environment,
    connections,
    faked_clock,
    process_trees,
    processes,
    temp_dirs,
)
from lab.planning.registry import SelectedBackend, setup
from lab.providers import crontab, redis_benchmark
from lab.providers.local_faults import DRIVER, LocalFaults, LocalPart
from lab.providers.monitor import answer
from lab.providers.servers import (
    SERVICES,
    DaskScheduler,
    RedisService,
    RunningServer,
    Server,
    free_port,
    last_line,
)
from lab.worker import user_function

PREPARATION_S = 60.0
# Role of a part by the first word of its name; the others are no targets of faults.
ROLES: Mapping[str, Role] = {"node": Role.WORKER, "scheduler": Role.SCHEDULER}


class LocalCluster(LocalFaults, Cluster):
    """Servers and nodes as process groups; the driver is one more process."""

    offers = frozenset({*SERVICES, Service.CRON})
    is_on_host = True
    environments: ClassVar = preparation
    benchmark_redis = staticmethod(redis_benchmark.on_host)

    @classmethod
    def offered(cls) -> frozenset[Service]:
        """Return the services that it can start, and cron if this machine runs one."""
        try:
            crontab.find_crontab()
        except ClusterError:
            return cls.offers - {Service.CRON}
        return cls.offers

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        self._services: list[LocalPart] = []
        self._nodes: list[LocalPart] = []
        self._crons: list[int] = []
        self._driver: Popen[bytes] | None = None
        self._context: BackendContext | None = None
        # Environment of all processes of the trial: its labels, and the temporary directory.
        self._environment = dict(site.environment)
        # Import path of the user's modules, for all processes that run or unpickle tasks.
        self._users_code = (
            child_environment.with_users_code(site.python) if site.has_users_code else {}
        )

    def up(self) -> BackendContext:
        """Start the servers that the backend needs, the workers of each node, and a scheduler."""
        site, spec, shared = self.site, self.site.spec, self.site.placement.services
        site.ledger.mkdir(parents=True)
        site.logs.mkdir()
        # Backends that are killed leave sockets and folders there; `down` removes all of it.
        self._scratch = temp_dirs.make()
        self._environment[temp_dirs.VARIABLE] = str(self._scratch)
        servers = services_of(site.backend, spec.variant)
        endpoints = {str(name): self._serve(name) for name in servers}
        selected = SelectedBackend(spec.backend, site.backend, spec.variant, spec.profile)
        context = self._context = setup(
            selected, spec.topology, endpoints, site.jobs, self.password
        )
        if site.jobs:
            (site.folder / JOBS).write_text(jobs_to_json(site.jobs), encoding="utf-8")
        for index, command in enumerate(site.backend.preparation(context)):
            self._prepare(self._start(command, f"preparation-{index}", shared))
        for node, cpus in enumerate(site.placement.nodes):
            slot = 0
            for index, command in enumerate(site.backend.node_commands(context)):
                # A cold start counts from the first command of the workers (METHOD M25).
                self.executed_ns = self.executed_ns or time.monotonic_ns()
                part = self._start(command, f"node{node}-{index}", cpus, (node, slot))
                self._nodes.append(part)
                slot += command.slots
        schedulers = site.backend.scheduler_commands(context) if site.jobs else ()
        for index, command in enumerate(schedulers):
            self._services.append(self._start(command, f"scheduler-{index}", shared))
        return context

    def _serve(self, name: Service) -> str:
        """Start a server, or find this machine's cron, and return its endpoint."""
        if name is Service.CRON:
            cron = crontab.find_crontab()
            endpoint, about = cron.crontab, cron.about
            self._crons.append(cron.pid)
        else:
            part, running = self._start_server(name, self._server(name))
            self._services.append(part)
            endpoint, about = running.endpoint, running.about
        self.services = "; ".join(filter(None, [self.services, about]))
        return endpoint

    def _start_server(self, name: Service, server: Server) -> tuple[LocalPart, RunningServer]:
        site = self.site
        settings = settings_of(site.backend, site.spec.variant, site.spec.profile)
        # Dask's scheduler is a Python process that unpickles arguments of tasks.
        environment = {**self._environment, **self._users_code}
        environment |= site.backend.server_environment(settings)
        running = server.start(site.logs, site.placement.services, environment, self.password)

        def again() -> LocalPart:
            return self._start_server(name, server)[0]

        log = site.logs / f"{name}.log"
        return LocalPart(name, running.process, log, again, Role.BROKER), running

    def _server(self, name: Service) -> Server:
        if name is Service.REDIS and self._scratch:
            return RedisService(self.site.persistence, self._scratch / str(name))
        if name is Service.DASK_SCHEDULER:
            return DaskScheduler(self.site.python)
        return SERVICES[name]()

    def _start(
        self, command: Command, name: str, cpus: Sequence[int], slot: tuple[int, int] = (0, 0)
    ) -> LocalPart:
        context = self._setup()
        environment = {
            **self.site.passed,
            **self._environment,
            **self._users_code,
            **self.site.backend.worker_environment(context),
            **self._ledger_environment(*slot),
            **self.faked_clock(name),
            "LAB_SETUP": setup_to_json(context),
        }
        log = self.site.logs / f"{name}.log"
        command_line = shlex.join(Path(word).name for word in command.argv[:4])
        argv = [self.site.python if word == sys.executable else word for word in command.argv]
        process = processes.start(argv, cpus, environment, log)
        self._limit(process)
        kind, again = name.partition("-")[0], partial(self._start, command, name, cpus, slot)
        role = ROLES.get(kind.rstrip(string.digits))
        return LocalPart(f"{kind} ({command_line})", process, log, again, role, *slot)

    @staticmethod
    def _prepare(part: LocalPart) -> None:
        """Wait for the end of a preparation command.

        Raises:
            ClusterError: It failed, or took too long.
        """
        try:
            code = part.process.wait(PREPARATION_S)
        except TimeoutExpired:
            processes.stop(part.process)
            raise ClusterError(f"{part.name} did not end in {PREPARATION_S:.0f} s.") from None
        if code:
            ending = processes.ending(code)
            raise ClusterError(f"{part.name} {ending}: {last_line(part.log)}")

    def _ledger_environment(self, node: int, slot: int) -> dict[str, str]:
        return {"LAB_LEDGER": str(self.site.ledger), "LAB_NODE": str(node), "LAB_SLOT": str(slot)}

    def monitor(self) -> str:
        """Start the backend's monitor on a free port and return its first complete answer."""
        context, port = self._setup(), free_port()
        monitor = self.site.backend.monitor(context)
        argv = tuple(word.replace("{port}", str(port)) for word in monitor.argv)
        shared = self.site.placement.services
        self._services.append(self._start(Command(argv), "monitor-0", shared))
        return answer(monitor, port, self.failure)

    def _setup(self) -> BackendContext:
        if self._context is None:
            raise ClusterError("The cluster is not up.")
        return self._context

    def start_driver(self) -> Popen[bytes]:
        """Start the driver process; a backend that runs inside it has its workers on node 0."""
        site = self.site
        environment = {**site.passed, **self._environment, **self._users_code}
        environment |= self._ledger_environment(0, 0)
        if not self._nodes:  # it executes the tasks itself
            environment |= self.faked_clock(DRIVER)
        environment["LAB_SETUP"] = setup_to_json(self._setup())
        argv = [site.python, "-m", "lab.driver", str(site.folder)]
        log, cpus = site.logs / f"{DRIVER}.log", site.placement.driver
        self._driver = processes.start(argv, cpus, environment, log, pipes=True)
        self._limit(self._driver)
        return self._driver

    def _limit(self, process: Popen[bytes]) -> None:
        spec = self.site.spec
        if user_function.is_user_function(spec.workload):
            variant = variant_of(self.site.backend, spec.variant)
            # Workers of one process share its limit, so it is not divided by their number.
            is_one_process = variant.serializer is Serializer.MEMORY
            limit = user_function.memory_bytes(1 if is_one_process else spec.topology.workers)
            processes.limit_memory(process, limit)

    def cpu(self, roles: Mapping[str, Sequence[int]]) -> CpuUse:
        """Sum CPU time over the processes of each role.

        If this machine's cron runs the jobs, it and its children are workers as well.
        """
        pids = {role: [*role_pids] for role, role_pids in roles.items()}
        pids["workers"] += [p.pid for cron in self._crons for p in processes.tree(cron)]
        used = {role: processes.cpu_ns(role_pids) for role, role_pids in pids.items()}
        return CpuUse(used["driver"], used["services"], used["workers"])

    def processes(self) -> Mapping[str, Sequence[int]]:
        """List drivers, servers and workers; the workers include their children."""
        first = [self._driver.pid] if self._driver else []
        nodes = [part.process.pid for part in self._nodes]
        trees = process_trees.trees([*first, *nodes])
        drivers, children = self.drivers_of([pid for root in first for pid in trees[root]])
        return {
            "driver": drivers,
            "services": [part.process.pid for part in self._services],
            "workers": [*children, *(pid for node in nodes for pid in trees[node])],
        }

    def prove_connections(self) -> None:
        """Check the connections of all processes of the trial."""
        connections.prove(self._look)

    def _look(self) -> tuple[connections.Parts, list[connections.Connection]]:
        parts = self._parts()
        # Not those of all processes of the machine: reading them takes ten times as long.
        everyone = {pid for pids in parts.everyone.values() for pid in pids}
        return parts, connections.connections(everyone)

    def _parts(self) -> connections.Parts:
        parts = [*self._services, *self._nodes]
        drivers = [self._driver.pid] if self._driver else []
        pids = process_trees.trees([*drivers, *(part.process.pid for part in parts)])
        trees = {part.log.stem: {*pids[part.process.pid]} for part in parts}
        workers = {part.log.stem: trees[part.log.stem] for part in self._nodes}
        # `_services` has scheduler and monitor too, to which no worker connects.
        servers = {pid for name, pids in trees.items() if name in SERVICES for pid in pids}
        driver = {pid for root in drivers for pid in pids[root]}
        return connections.Parts(servers, workers, {**trees, DRIVER: driver})

    def failure(self) -> str | None:
        """Name the first server or worker that has ended, with the last line of its log.

        None once a fault has hit the cluster: the supervisor then restarts what has ended.
        """
        if self.supervised:
            return None
        for part in [*self._services, *self._nodes]:
            if (code := part.process.poll()) is not None:
                return f"{part.name} {processes.ending(code)}: {last_line(part.log)}"
        return None

    def down(self) -> int:
        """Stop the driver, then kill the workers, then the servers; return the number of leftovers.

        The driver is first, because a client that outlives its broker tries to reconnect. The
        others are killed, because some take seconds to shut down, and nothing of them is needed.
        """
        trial = self.site.environment[processes.TRIAL]
        try:
            if Service.CRON in services_of(self.site.backend, self.site.spec.variant):
                # First, because cron would start further jobs while the trial ends.
                crontab.remove_trial(trial)
            if self._driver:
                processes.stop(self._driver)
            processes.kill_started(*(part.process for part in self._nodes))
            processes.kill_started(*(part.process for part in self._services))
        finally:
            # Also after an interrupt: a process that remains would take CPU time from later trials.
            reaped = processes.reap_trial(trial)
            if self._scratch:
                temp_dirs.remove(self._scratch)
            if self.site.has_faked_clocks:
                faked_clock.remove_dead()
        return reaped
