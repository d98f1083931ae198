"""Runs each trial in a Compose project of its own, in an internal network, with its driver inside.

Driver and nodes share the trial's folder as a volume in memory. After the window it is copied here
through the engine's connection: no folder of this machine is mounted, so the engine may be remote.
"""

from __future__ import annotations

import contextlib
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lab.core.backend import JOBS, jobs_to_json, services_of
from lab.core.environment_provider import Environments
from lab.core.errors import ClusterError
from lab.core.model import BackendContext
from lab.core.provider import CounterReading, CpuUse, TrialContext
from lab.host import connections, processes
from lab.planning.registry import SelectedBackend, setup
from lab.providers import (
    compose_override,
    container_files,
    container_process,
    docker_command,
    network,
    reaper,
    redis_benchmark,
    user_code,
)
from lab.providers.cgroups import driver_pid, pids_of
from lab.providers.compose_override import (
    DRIVER,
    ENDPOINTS,
    FILE,
    LUGGAGE,
    NODE,
    SCHEDULER,
    SETUP,
    TRIAL,
)
from lab.providers.compose_parts import LEDGER, part_of
from lab.providers.compose_resources import ResourceFaults
from lab.providers.container_events import SERVICE, ContainerEvents
from lab.providers.container_process import ContainerProcess
from lab.providers.engine import engine
from lab.providers.engine_errors import ending
from lab.providers.images import environment_images
from lab.providers.images.recipe import variable
from lab.providers.servers import last_line
from lab.worker import container, user_function

# Containers that count as servers, with the backend's scheduler.
SERVERS = (*map(str, ENDPOINTS), SCHEDULER)
LOOK_S = 0.05
# The event of a container's end may follow the first error that the end has caused.
EVENT_S = 5.0


class ComposeCluster(ResourceFaults):
    """Services, nodes and driver as containers of one engine."""

    offers = frozenset(ENDPOINTS)
    environments: ClassVar[Environments] = environment_images
    has_quotas = True
    start_s = 3.0
    require_importable = staticmethod(user_code.require_packable)
    benchmark_redis = staticmethod(redis_benchmark.in_container)

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        self._environment: Mapping[str, str] = {}
        self._driver_ns = 0
        self._is_up = False
        self._cause: str | None = None

    def up(self) -> BackendContext:
        """Start the driver and the servers, wait until the servers answer, then start the nodes."""
        site, spec = self.site, self.site.spec
        site.ledger.mkdir(parents=True)
        site.logs.mkdir()
        servers = services_of(site.backend, spec.variant)
        endpoints = compose_override.endpoints(servers, self.password)
        selected = SelectedBackend(spec.backend, site.backend, spec.variant, spec.profile)
        context = setup(selected, spec.topology, endpoints, site.jobs, self.password)
        self._environment = compose_override.environment(site, context)
        commands = site.backend.node_commands(context)
        nodes = [f"node{n}" for n in range(spec.topology.nodes)] if commands else []
        schedulers = site.backend.scheduler_commands(context) if site.jobs else ()
        scheduler_names = [SCHEDULER] if schedulers else []
        argvs = {NODE: commands, SCHEDULER: schedulers}
        parts = compose_override.parts(site, context, argvs, [*nodes, *scheduler_names])
        parts |= dict.fromkeys(endpoints, compose_override.server(site, context))
        # Before the first container starts, so that no death is missed.
        self._events = ContainerEvents(f"{reaper.RUN}={self.run}", self.engines)
        self.make_disks(servers)
        # The driver first: the wait for servers and the preparation run in its container.
        self._start([*servers, DRIVER], parts)
        if site.jobs:
            self._put({JOBS: jobs_to_json(site.jobs).encode()})
        if user_function.is_user_function(spec.workload):  # before any worker imports it
            files = user_code.pack(spec.workload)
            self._put({f"{LUGGAGE}/{name}": content for name, content in files.items()})
        if servers:
            self.services = self._wait_for()
        for command in site.backend.preparation(context):
            argv = compose_override.in_image(command.argv)
            container_process.run(self.parts[DRIVER].id, *argv, environment=self._environment)
        if schedulers:  # its jobs may run before the driver creates the folder
            self._put({}, (LEDGER,))
        if nodes or schedulers:
            # A cold start counts from the order to start the nodes (METHOD M25).
            self.executed_ns = time.monotonic_ns() if nodes else None
            self._start([*nodes, *scheduler_names], parts)
        self.images = "; ".join(sorted({part.image for part in self.parts.values()}))
        self._is_up = True
        self.arm()
        return context

    def _start(self, names: Sequence[str], parts: Mapping[str, Any]) -> None:
        # A trial neither pulls nor builds, and its second `up` leaves the driver as it is.
        options = ("--detach", "--no-build", "--no-deps", "--no-recreate", "--pull", "never")
        try:
            self._compose(parts, "up", *options, *names)
        finally:
            self._look()

    def _compose(self, parts: Mapping[str, Any], *words: str) -> bytes:
        """Run a command of Compose on the files of the trial, and return its output."""
        # The override contains passwords and passed values, so it comes by standard input (`-`):
        # other users of the machine can read arguments.
        files = ("--project-directory", str(FILE.parent), "-f", str(FILE), "-f", "-")
        needed = compose_override.needed_images(self.site).items()
        environment = {**{variable(part): i.name for part, i in needed}, **self.site.environment}
        if text := self.site.spec.environment:
            environment[variable(NODE)] = environment_images.of_trial(self.site.spec.label, text)
        environment |= {"LAB_RUN": self.run, "LAB_PASSWORD": self.password}
        override = compose_override.file_of(parts, self.site.spec.fault, self.devices)
        arguments = ("compose", "--project-name", self.run, *files, *words)
        return docker_command.run(*arguments, environment=environment, given=override)

    def _look(self) -> None:
        """Register the project's containers, also those of an `up` that failed half-way."""
        label = {"label": [f"{reaper.RUN}={self.run}", SERVICE]}
        for address in self.engines:
            with engine(address) as client:
                for one in client.api.containers(all=True, filters=label):
                    name = one["Labels"][SERVICE]
                    if name not in self.parts and one["State"] != "created":
                        self.parts[name] = part_of(client.api.inspect_container(one["Id"]), address)

    def _wait_for(self) -> str:
        """Wait inside the network until every server answers; return their names and versions."""
        waiting = self._begin("python", "-m", container.__name__, "wait")
        try:
            while waiting.poll() is None:
                if reason := self.failure():  # a server that has died will never answer
                    raise ClusterError(reason)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    waiting.wait(LOOK_S)
            versions = waiting.stdout.read()
        finally:
            waiting.stop()
        if waiting.poll():
            raise ClusterError(self.failure() or last_line(self.site.logs / "driver.log"))
        return "; ".join(versions.decode().splitlines())

    def _begin(self, *argv: str) -> ContainerProcess:
        variables = {SETUP: self._environment[SETUP]}
        log = self.site.logs / f"{DRIVER}.log"
        return ContainerProcess(self.parts[DRIVER].id, argv, variables, log)

    def _put(self, files: Mapping[str, bytes], folders: Sequence[str] = ()) -> None:
        container_files.put(self.parts[DRIVER].id, TRIAL, files, folders)

    def start_driver(self) -> ContainerProcess:
        """Copy the trial's request into the volume and start the driver in its container."""
        request = (self.site.folder / "trial.json").read_bytes()
        self._put({"trial.json": request}, (LEDGER,))
        self._driver = self._begin("python", "-m", "lab.driver", TRIAL)
        return self._driver

    def prove_connections(self) -> None:
        """Check the connections of each container, from the tables of its network namespace."""
        nodes = {name for name in self.parts if name.startswith(NODE)}
        connections.prove(lambda: network.look(self.parts, {*map(str, ENDPOINTS)}, nodes))

    def cpu(self, roles: Mapping[str, Sequence[int]]) -> CpuUse:
        """Sum CPU time by role over the control groups; the driver's children are workers.

        If the engine is on another machine, the driver's process cannot be separated from its
        children, and the CPU time of its whole container counts as the driver's.
        """
        used = {name: part.meter.read() for name, part in self.parts.items() if part.meter}
        cpu_ns = {name: use.cpu_ns or 0 for name, use in used.items()}
        container = cpu_ns.get(DRIVER, 0)
        alone = processes.cpu_ns(roles["driver"]) if roles else container
        # After the driver has ended, `alone` is 0, but a total must not fall.
        self._driver_ns = max(self._driver_ns, alone)
        children = max(0, container - self._driver_ns)
        nodes = [use for name, use in used.items() if name.startswith(NODE)]
        return CpuUse(
            driver_ns=self._driver_ns,
            services_ns=sum(cpu_ns.get(name, 0) for name in SERVERS),
            workers_ns=sum(use.cpu_ns or 0 for use in nodes) + children,
            quota_periods=sum(use.quota_periods or 0 for use in nodes),
            throttled_periods=sum(use.throttled_periods or 0 for use in nodes),
        )

    def _pids(self, name: str) -> list[int] | None:
        """List the processes of one container; None if they are on another machine."""
        meter = self.parts[name].meter if name in self.parts else None
        return pids_of(meter) if meter else []

    def processes(self) -> Mapping[str, Sequence[int]]:
        """List the processes of every container."""
        pids_by_name = {name: self._pids(name) for name in self.parts}
        known = {name: pids for name, pids in pids_by_name.items() if pids is not None}
        if len(known) < len(pids_by_name):
            return {}
        first = driver_pid(known.pop(DRIVER, []))
        servers = [pid for name in SERVERS for pid in known.pop(name, [])]
        drivers, children = self.drivers_of([p.pid for pid in first for p in processes.tree(pid)])
        nodes = [pid for name, pids in known.items() if name.startswith(NODE) for pid in pids]
        return {"driver": drivers, "services": servers, "workers": [*children, *nodes]}

    def counters(self) -> Sequence[CounterReading]:
        """Read CPU, memory, throttling and network of every container."""
        return [
            CounterReading(f"container:{name}", counter, value, unit)
            for name, part in self.parts.items()
            if part.meter
            for counter, value, unit in part.meter.read().counters()
        ]

    def failure(self) -> str | None:
        """Name the first container that has died, with the last line of its log."""
        # Each event comes once, and the first death stays the cause of all that follows.
        self._cause = self._cause or self._first_death()
        return self._cause

    def _first_death(self) -> str | None:
        try:
            for event, name, code in self.deaths():
                if event == "die":
                    self._save_log(name)
                return ending(event, name, code, last_line(self.site.logs / f"{name}.log"))
        except ClusterError as error:
            return str(error)
        return None

    def cause_of(self, error: Exception) -> str:
        """Name the container whose end caused an error: every call fails in a container that ended.

        Otherwise return the text of the error.
        """
        deadline = time.monotonic() + (EVENT_S if self._events else 0.0)
        while (reason := self.failure()) is None and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return reason or super().cause_of(error)

    def _save_log(self, name: str) -> None:
        # A container may have ended during `up`, before it was registered.
        if name not in self.parts:
            self._look()
        if name in self.parts:
            part, path = self.parts[name], self.site.logs / f"{name}.log"
            with engine(part.address) as client, path.open("wb") as log:
                for lines in client.api.logs(part.id, stream=True, follow=False):
                    log.write(lines)

    def down(self) -> int:
        """Save logs and the trial's folder, and remove all objects that have the trial's label."""
        self.disarm()
        # First, because the volume with the records is removed with the project.
        if self.parts:
            self._save()
        for stream in (self._driver, self._events):
            if stream:
                stream.stop()
        for part in self.parts.values():
            if part.meter:
                part.meter.close()
        with contextlib.suppress(ClusterError):  # the next start of the lab tries again
            # After an interrupted `up` the engine may still be creating objects.
            reaper.remove_run(self.run, 0.0 if self._is_up else reaper.QUIET_S)
        return processes.reap_trial(self.site.environment[processes.TRIAL])

    def _save(self) -> None:
        try:
            self.fetch_records()  # first, because the engine of another log may not answer
            for name in self.parts:
                if name != DRIVER:  # its output came through its pipes
                    self._save_log(name)
        except (ClusterError, OSError, EOFError, tarfile.TarError) as error:
            # Without these files the trial fails, and its reason quotes the last line of this log.
            with (self.site.logs / "driver.log").open("a", encoding="utf-8") as log:
                log.write(f"The trial's files could not be copied from the engine: {error}\n")
