"""Clusters of plain processes on this machine, pinned by CPU affinity."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen, TimeoutExpired

from lab import connections, own_task, processes, scratch, surroundings
from lab.backend import JOBS, jobs_to_json, services_of, settings_of, setup_to_json
from lab.cluster import Cluster, CpuUse, Site
from lab.clusters import crontab
from lab.clusters.monitor import answer
from lab.clusters.services import SERVICES, free_port, last_line
from lab.errors import ClusterError
from lab.model import Carrier, Command, Service, Setup
from lab.registry import Selected, setup

PREPARATION_S = 60.0


@dataclass(frozen=True, slots=True)
class _Part:
    """One process of the cluster and what to call it."""

    name: str
    process: Popen[bytes]
    log: Path


class LocalCluster(Cluster):
    """Services and nodes as process groups; the driver is one more process beside them."""

    offers = frozenset({*SERVICES, Service.CRON})

    @classmethod
    def offered(cls) -> frozenset[Service]:
        """All that it can start, and the machine's own cron where one runs."""
        try:
            crontab.find()
        except ClusterError:
            return cls.offers - {Service.CRON}
        return cls.offers

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._services: list[_Part] = []
        self._nodes: list[_Part] = []
        self._crons: list[int] = []
        self._driver: Popen[bytes] | None = None
        self._made: Setup | None = None
        # What all processes of the trial are told: whose they are, and where temporary files go.
        self._told = dict(site.environment)
        self._scratch: Path | None = None
        # How tasks, and what unpickles them, find modules of the user's.
        self._users_code = surroundings.with_users_code() if site.has_users_code else {}

    def up(self) -> Setup:
        """Start a fresh broker where one is needed, then each node's workers, then a scheduler."""
        site, spec, shared = self.site, self.site.spec, self.site.placement.services
        site.ledger.mkdir(parents=True)
        site.logs.mkdir()
        self._scratch = scratch.make()
        self._told[scratch.VARIABLE] = str(self._scratch)
        servers = services_of(site.backend, spec.variant)
        endpoints = {str(name): self._serve(name) for name in servers}
        selected = Selected(spec.backend, site.backend, spec.variant, spec.profile)
        made = self._made = setup(selected, spec.topology, endpoints, site.jobs, self.password)
        if site.jobs:
            (site.folder / JOBS).write_text(jobs_to_json(site.jobs), encoding="utf-8")
        for index, command in enumerate(site.backend.preparation(made)):
            self._prepare(self._start(made, command, f"preparation-{index}", shared))
        for node, cpus in enumerate(site.placement.nodes):
            slot = 0
            for index, command in enumerate(site.backend.node_commands(made)):
                self.executed_ns = self.executed_ns or time.monotonic_ns()
                part = self._start(made, command, f"node{node}-{index}", cpus, (node, slot))
                self._nodes.append(part)
                slot += command.slots
        for index, command in enumerate(site.backend.scheduler_commands(made) if site.jobs else ()):
            self._services.append(self._start(made, command, f"scheduler-{index}", shared))
        return made

    def _serve(self, name: Service) -> str:
        """Start a server, or find the one that the machine has, and return its endpoint."""
        site = self.site
        if name is Service.CRON:
            cron = crontab.find()
            endpoint, about = cron.crontab, cron.about
            self._crons.append(cron.pid)
        else:
            settings = settings_of(site.backend, site.spec.variant, site.spec.profile)
            # Dask's scheduler, a server of Python, unpickles the arguments of tasks as well.
            told = {**self._told, **self._users_code, **site.backend.server_environment(settings)}
            cpus = site.placement.services
            running = SERVICES[name]().start(site.logs, cpus, told, self.password)
            self._services.append(_Part(name, running.process, site.logs / f"{name}.log"))
            endpoint, about = running.endpoint, running.about
        self.services = "; ".join(filter(None, [self.services, about]))
        return endpoint

    def _start(
        self,
        made: Setup,
        command: Command,
        role: str,
        cpus: Sequence[int],
        slot: tuple[int, int] = (0, 0),
    ) -> _Part:
        environment = {
            **self.site.passed,
            **self._told,
            **self._users_code,
            **self.site.backend.worker_environment(made),
            **self._ledger_environment(*slot),
            "LAB_SETUP": setup_to_json(made),
        }
        log = self.site.logs / f"{role}.log"
        words = shlex.join(Path(word).name for word in command.argv[:4])
        process = processes.start(command.argv, cpus, environment, log)
        self._limit(process)
        return _Part(f"{role.partition('-')[0]} ({words})", process, log)

    @staticmethod
    def _prepare(part: _Part) -> None:
        """Wait for the end of a command that prepares.

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
        """Start the system's own monitor on a free port, beside the services, and ask it."""
        made, port = self._setup(), free_port()
        wanted = self.site.backend.monitor(made)
        argv = tuple(word.replace("{port}", str(port)) for word in wanted.argv)
        shared = self.site.placement.services
        self._services.append(self._start(made, Command(argv), "monitor-0", shared))
        return answer(wanted, port, self.failure)

    def _setup(self) -> Setup:
        if self._made is None:
            raise ClusterError("The cluster is not up.")
        return self._made

    def start_driver(self) -> Popen[bytes]:
        """Start the driver in a process of its own; a system that lives in it works as node 0."""
        site = self.site
        environment = {**site.passed, **self._told, **self._users_code}
        environment |= self._ledger_environment(0, 0)
        environment["LAB_SETUP"] = setup_to_json(self._setup())
        argv = [sys.executable, "-m", "lab.driver", str(site.folder)]
        log, cpus = site.logs / "driver.log", site.placement.driver
        self._driver = processes.start(argv, cpus, environment, log, pipes=True)
        self._limit(self._driver)
        return self._driver

    def _limit(self, process: Popen[bytes]) -> None:
        spec = self.site.spec
        if own_task.is_own(spec.workload):
            chosen = next(v for v in self.site.backend.variants if v.name == spec.variant)
            in_one = chosen.carrier is Carrier.MEMORY
            limit = own_task.memory_bytes(1 if in_one else spec.topology.workers)
            processes.limit_memory(process, limit)

    def cpu(self) -> CpuUse:
        """Sum CPU time over the process trees; the driver's children are workers.

        So is the machine's cron with all that it starts, if it runs the jobs.
        """
        pids = {role: [*own] for role, own in self.processes().items()}
        pids["workers"] += [p.pid for cron in self._crons for p in processes.tree(cron)]
        used = {role: processes.cpu_ns(own) for role, own in pids.items()}
        return CpuUse(used["driver"], used["services"], used["workers"])

    def processes(self) -> Mapping[str, Sequence[int]]:
        """List the trees of the workers, the driver's children among them."""
        driver = processes.tree(self._driver.pid) if self._driver else []
        nodes = [p for part in self._nodes for p in processes.tree(part.process.pid)]
        return {
            "driver": [process.pid for process in driver[:1]],
            "services": [part.process.pid for part in self._services],
            "workers": [process.pid for process in [*driver[1:], *nodes]],
        }

    def prove_connections(self) -> None:
        """Look at the connections of all processes of the trial."""
        connections.prove(self._look)

    def _look(self) -> tuple[connections.Parts, list[connections.Connection]]:
        return self._parts(), connections.connections()

    def _parts(self) -> connections.Parts:
        trees = {
            part.log.stem: {process.pid for process in processes.tree(part.process.pid)}
            for part in [*self._services, *self._nodes]
        }
        workers = {part.log.stem: trees[part.log.stem] for part in self._nodes}
        servers = {pid for name, pids in trees.items() if name in SERVICES for pid in pids}
        driver = processes.tree(self._driver.pid) if self._driver else []
        return connections.Parts(
            servers, workers, {**trees, "driver": {process.pid for process in driver}}
        )

    def failure(self) -> str | None:
        """Name the first service or worker that has ended, with the last line of its log."""
        for part in [*self._services, *self._nodes]:
            if (code := part.process.poll()) is not None:
                return f"{part.name} {processes.ending(code)}: {last_line(part.log)}"
        return None

    def down(self) -> int:
        """Stop the driver first: a client must not outlive its broker, it would reconnect.

        Workers have a moment for their goodbyes, which take some systems seconds: the window is
        over, and nothing of it depends on them.
        """
        trial = self.site.environment[processes.TRIAL]
        try:
            if Service.CRON in services_of(self.site.backend, self.site.spec.variant):
                crontab.remove_trial(trial)
            if self._driver:
                processes.stop(self._driver)
            processes.stop(*(part.process for part in self._nodes), grace_s=processes.GRACE_S)
            processes.stop(*(part.process for part in self._services))
        finally:
            reaped = processes.reap_trial(trial)
            if self._scratch:
                scratch.remove(self._scratch)
        return reaped
