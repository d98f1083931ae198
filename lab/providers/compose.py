"""Runs each trial in a Compose project of its own, in an internal network, with its driver inside.

Driver and nodes share the trial's folder as a volume in memory. After the window it is copied here
through the engine's connection: no folder of this machine is mounted, so the engine may be remote.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from subprocess import Popen, TimeoutExpired
from typing import Any

from lab.core.backend import JOBS, jobs_to_json, services_of
from lab.core.errors import ClusterError
from lab.core.model import BackendContext
from lab.core.provider import Cluster, CounterReading, CpuUse, TrialContext
from lab.host import child_environment, connections, processes
from lab.planning.registry import Selected, setup
from lab.providers import compose_override, images, network, reaper, redis_benchmark, user_code
from lab.providers.cgroups import Meter, driver_pid, pids_of
from lab.providers.compose_override import DRIVER, ENDPOINTS, FILE, NODE, SCHEDULER, SETUP, TRIAL
from lab.providers.engine import PROGRAM, docker, ending, starting
from lab.providers.servers import last_line
from lab.worker import container, user_function

# Containers that count as servers, with the backend's scheduler.
SERVERS = (*map(str, ENDPOINTS), SCHEDULER)
LOG_S = 30.0
LOOK_S = 0.05
# Format templates of the engine: for a container, and for an event of a container.
_LOOK = (
    '{{.Id}} {{.State.Pid}} {{index .Config.Labels "com.docker.compose.service"}} '
    "{{.Config.Image}}@{{.Image}}"
)
_EVENT = (
    '{{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}} '
    '{{index .Actor.Attributes "exitCode"}}'
)


@dataclass(frozen=True, slots=True)
class Part:
    """One container of the cluster."""

    id: str
    image: str
    meter: Meter | None


class ComposeCluster(Cluster):
    """Services, nodes and driver as containers of one engine."""

    offers = frozenset(ENDPOINTS)
    has_quotas = True
    start_s = 3.0
    require_importable = staticmethod(user_code.require_packable)
    benchmark_redis = staticmethod(redis_benchmark.in_container)

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        # A random suffix, because another campaign may run the same trial at the same time.
        self.run = f"lab-{site.environment[processes.TRIAL]}-{secrets.token_hex(3)}"
        self.parts: dict[str, Part] = {}
        self._environment: Mapping[str, str] = {}
        self._events: Popen[bytes] | None = None
        self._driver: Popen[bytes] | None = None
        self._driver_ns = 0
        self._is_up = False

    def up(self) -> BackendContext:
        """Start the driver and the servers, wait until the servers answer, then start the nodes."""
        site, spec = self.site, self.site.spec
        site.ledger.mkdir(parents=True)
        site.logs.mkdir()
        servers = services_of(site.backend, spec.variant)
        endpoints = compose_override.endpoints(servers, self.password)
        selected = Selected(spec.backend, site.backend, spec.variant, spec.profile)
        context = setup(selected, spec.topology, endpoints, site.jobs, self.password)
        self._environment = compose_override.environment(site, context)
        commands = site.backend.node_commands(context)
        nodes = [f"node{n}" for n in range(spec.topology.nodes)] if commands else []
        schedulers = site.backend.scheduler_commands(context) if site.jobs else ()
        scheduler_names = [SCHEDULER] if schedulers else []
        argvs = {NODE: commands, SCHEDULER: schedulers}
        parts = compose_override.parts(site, context, argvs, [*nodes, *scheduler_names])
        parts |= dict.fromkeys(endpoints, compose_override.server(site, context))
        self._follow_events()
        self._start([*servers, DRIVER], parts)
        if site.jobs:
            self._exec("sh", "-c", f"cat > {TRIAL}/{JOBS}", given=jobs_to_json(site.jobs).encode())
        if user_function.is_own(spec.workload):  # before any worker imports it
            self._exec("sh", "-c", compose_override.UNPACK, given=user_code.pack(spec.workload))
        if servers:
            self.services = self._wait_for()
        for command in site.backend.preparation(context):
            self._exec(*compose_override.in_image(command.argv), environment=self._environment)
        if schedulers:  # its jobs may run before the driver creates the folder
            self._exec("mkdir", f"{TRIAL}/ledger")
        if nodes or schedulers:
            self.executed_ns = time.monotonic_ns() if nodes else None
            self._start([*nodes, *scheduler_names], parts)
        self.images = "; ".join(sorted({part.image for part in self.parts.values()}))
        self._is_up = True
        return context

    def _start(self, names: Sequence[str], parts: Mapping[str, Any]) -> None:
        files = ("--project-directory", str(FILE.parent), "-f", str(FILE), "-f", "-")
        options = ("--detach", "--no-build", "--no-deps", "--no-recreate", "--pull", "never")
        environment = {**images.resolve().environment, **self.site.environment}
        environment |= {"LAB_RUN": self.run, "LAB_PASSWORD": self.password}
        override = compose_override.file_of(parts)
        arguments = ("compose", "--project-name", self.run, *files, "up", *options, *names)
        try:
            docker(*arguments, environment=environment, given=override)
        finally:
            self._look()

    def _look(self) -> None:
        """Register the project's containers, also those of an `up` that failed half-way."""
        ids = docker("ps", "-aq", "--no-trunc", "--filter", f"label={reaper.RUN}={self.run}")
        if not ids:
            return
        listing = docker("inspect", "--format", _LOOK, *ids.decode().split()).decode()
        for identity, pid, name, image in (line.split() for line in listing.splitlines()):
            if name not in self.parts:
                meter = Meter(identity, int(pid)) if int(pid) else None
                self.parts[name] = Part(identity, image.replace("sha256:", ""), meter)

    def _wait_for(self) -> str:
        """Wait inside the network until every server answers; return their names and versions."""
        waiting = self._begin("python", "-m", container.__name__, "wait")
        try:
            while waiting.poll() is None:
                if reason := self.failure():  # a server that has died will never answer
                    raise ClusterError(reason)
                time.sleep(LOOK_S)
            versions = waiting.stdout.read() if waiting.stdout else b""
        finally:
            processes.stop(waiting)
        if waiting.returncode:
            raise ClusterError(self.failure() or last_line(self.site.logs / "driver.log"))
        return "; ".join(versions.decode().splitlines())

    def _begin(self, *arguments: str) -> Popen[bytes]:
        argv = ["exec", "-i", "--env", SETUP, self.parts[DRIVER].id, *arguments]
        return self._client(argv, "driver", {SETUP: self._environment[SETUP]}, pipes=True)

    def _client(
        self,
        argv: Sequence[str],
        log: str,
        environment: Mapping[str, str] | None = None,
        *,
        pipes: bool = False,
    ) -> Popen[bytes]:
        """Start a client of the engine, with the trial's labels, that writes to the log of `log`.

        Raises:
            ClusterError: The client cannot be started.
        """
        variables = {
            **child_environment.of_engine(),
            **self.site.environment,
            **(environment or {}),
        }
        file = self.site.logs / f"{log}.log"
        with starting():
            return processes.start([PROGRAM, *argv], (), variables, file, pipes=pipes)

    def _exec(
        self, *arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> bytes:
        # Names only: any user can read the client's arguments, but not its environment.
        names = [word for name in environment or () for word in ("--env", name)]
        argv = ("exec", "-i", *names, self.parts[DRIVER].id, *arguments)
        return docker(*argv, given=given, environment=environment)

    def start_driver(self) -> Popen[bytes]:
        """Copy the trial's request into the volume and start the driver in its container."""
        request = (self.site.folder / "trial.json").read_bytes()
        put = f"mkdir -p {TRIAL}/ledger && cat > {TRIAL}/trial.json"
        self._exec("sh", "-c", put, given=request)
        self._driver = self._begin("python", "-m", "lab.driver", TRIAL)
        return self._driver

    def prove_connections(self) -> None:
        """Check the connections of each container, from the tables of its network namespace."""
        ids = {name: part.id for name, part in self.parts.items()}
        nodes = {*ids} - {*SERVERS, DRIVER}
        connections.prove(lambda: network.look(ids, {*map(str, ENDPOINTS)}, nodes))

    def cpu(self) -> CpuUse:
        """Sum CPU time by role over the control groups; the driver's children are workers.

        If the engine is on another machine, the driver's process cannot be separated from its
        children, and the CPU time of its whole container counts as the driver's.
        """
        used = {name: part.meter.read() for name, part in self.parts.items() if part.meter}
        total = {name: use.cpu_ns or 0 for name, use in used.items()}
        servers = sum(total.pop(name, 0) for name in SERVERS)
        container = total.pop(DRIVER, 0)
        inside = self._pids(DRIVER)
        alone = container if inside is None else processes.cpu_ns(driver_pid(inside))
        self._driver_ns = max(self._driver_ns, alone)
        children = max(0, container - self._driver_ns)
        nodes = [use for name, use in used.items() if name in total]
        return CpuUse(
            driver_ns=self._driver_ns,
            services_ns=servers,
            workers_ns=sum(total.values()) + children,
            quota_periods=sum(use.quota_periods or 0 for use in nodes),
            throttled_periods=sum(use.throttled_periods or 0 for use in nodes),
        )

    def _pids(self, name: str) -> list[int] | None:
        """List the processes of one container; None if they are on another machine."""
        meter = self.parts[name].meter if name in self.parts else None
        return pids_of(meter) if meter else []

    def processes(self) -> Mapping[str, Sequence[int]]:
        """List the processes of every container; the driver's children are workers."""
        pids_by_name = {name: self._pids(name) for name in self.parts}
        known = {name: pids for name, pids in pids_by_name.items() if pids is not None}
        if len(known) < len(pids_by_name):
            return {}
        driver = driver_pid(known.pop(DRIVER, []))
        servers = [pid for name in SERVERS for pid in known.pop(name, [])]
        children = [child.pid for pid in driver for child in processes.tree(pid)[1:]]
        nodes = [pid for pids in known.values() for pid in pids]
        return {"driver": driver, "services": servers, "workers": [*children, *nodes]}

    def counters(self) -> Sequence[CounterReading]:
        """Read CPU, memory, throttling and network of every container."""
        return [
            CounterReading(f"container:{name}", counter, value, unit)
            for name, part in self.parts.items()
            if part.meter
            for counter, value, unit in part.meter.read().counters()
        ]

    def _follow_events(self) -> None:
        # One stream for the whole trial: polling the engine would use a whole core.
        kinds = ("--filter", "event=die", "--filter", "event=oom", "--since", f"{time.time():.0f}")
        label = ("--filter", f"label={reaper.RUN}={self.run}")
        argv = ("events", *label, *kinds, "--format", _EVENT)
        self._events = self._client(argv, "events", pipes=True)
        if self._events.stdout is not None:
            os.set_blocking(self._events.stdout.fileno(), False)

    def failure(self) -> str | None:
        """Name the first container that has died, with the last line of its log."""
        events = self._events.stdout.read() if self._events and self._events.stdout else None
        for line in (events or b"").decode().splitlines():
            event, name, *code = line.split()
            if event == "die":
                self._save_log(name)
            return ending(event, name, "".join(code), last_line(self.site.logs / f"{name}.log"))
        return None

    def _save_log(self, name: str) -> None:
        if name not in self.parts:
            self._look()
        (self.site.logs / f"{name}.log").unlink(missing_ok=True)
        if name in self.parts:
            process = self._client(["logs", self.parts[name].id], name)
            with contextlib.suppress(TimeoutExpired):  # the lines written so far must be enough
                process.wait(LOG_S)
            processes.stop(process)

    def down(self) -> int:
        """Save logs and the trial's folder, and remove all objects that have the trial's label."""
        if self.parts:
            self._save()
        for process in (self._driver, self._events):
            if process:
                processes.stop(process)
        for part in self.parts.values():
            if part.meter:
                part.meter.close()
        with contextlib.suppress(ClusterError):  # the next start of the lab tries again
            # After an interrupted `up` the engine may still be creating objects.
            reaper.remove_run(self.run, 0.0 if self._is_up else reaper.QUIET_S)
        return processes.reap_trial(self.site.environment[processes.TRIAL])

    def _save(self) -> None:
        try:
            for name in self.parts:
                if name != DRIVER:  # its output came through its pipes
                    self._save_log(name)
            user_code.unpack(self._exec("sh", "-c", compose_override.PACK), self.site.folder)
        except (ClusterError, OSError, EOFError, tarfile.TarError) as error:
            # Without these files the trial fails, and its reason quotes the last line of this log.
            with (self.site.logs / "driver.log").open("a", encoding="utf-8") as log:
                log.write(f"The trial's files could not be copied from the engine: {error}\n")
