"""Clusters of plain processes on this machine, pinned by CPU affinity."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from lab import processes
from lab.backend import services_of, setup_to_json
from lab.cluster import Cluster, Site
from lab.clusters.services import SERVICES, last_line
from lab.model import CpuUse, Setup
from lab.registry import Selected, setup


@dataclass(frozen=True, slots=True)
class _Part:
    """One process of the cluster and what to call it."""

    name: str
    process: Popen[bytes]
    log: Path


class LocalCluster(Cluster):
    """Services and nodes as process groups; the driver is one more process beside them."""

    offers = frozenset(SERVICES)

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._services: list[_Part] = []
        self._nodes: list[_Part] = []
        self._driver: Popen[bytes] | None = None

    def up(self) -> Setup:
        """Start a fresh broker where one is needed, then each node's own worker commands."""
        site = self.site
        site.ledger.mkdir(parents=True)
        site.logs.mkdir()
        endpoints = {}
        for name in services_of(site.backend, site.spec.variant):
            running = SERVICES[name]().start(site.logs, site.placement.services, site.environment)
            log = site.logs / f"{name}.log"
            self._services.append(_Part(name, running.process, log))
            endpoints[str(name)] = running.endpoint
            self.services = "; ".join(filter(None, [self.services, running.about]))
        spec = site.spec
        selected = Selected(spec.backend, site.backend, spec.variant, spec.profile)
        made = setup(selected, spec.topology, endpoints)
        for node in range(spec.topology.nodes):
            self._start_node(node, made)
        return made

    def _start_node(self, node: int, made: Setup) -> None:
        site = self.site
        slot = 0
        for index, command in enumerate(site.backend.node_commands(made)):
            log = site.logs / f"node{node}-{index}.log"
            environment = {
                **site.environment,
                **site.backend.worker_environment(made),
                **self._ledger_environment(node, slot),
                "LAB_SETUP": setup_to_json(made),
            }
            cpus = site.placement.nodes[node]
            process = processes.start(command.argv, cpus, environment, log)
            name = f"worker {shlex.join(Path(a).name for a in command.argv[:3])} of node {node}"
            self._nodes.append(_Part(name, process, log))
            slot += command.slots

    def _ledger_environment(self, node: int, slot: int) -> dict[str, str]:
        ledger = str(self.site.ledger.resolve())
        return {"LAB_LEDGER": ledger, "LAB_NODE": str(node), "LAB_SLOT": str(slot)}

    def start_driver(self) -> Popen[bytes]:
        """Start the driver in a process of its own; a system that lives in it works as node 0."""
        site = self.site
        environment = {**site.environment, **self._ledger_environment(0, 0)}
        argv = [sys.executable, "-m", "lab.driver", str(site.folder.resolve())]
        log = site.logs / "driver.log"
        self._driver = processes.start(argv, site.placement.driver, environment, log, pipes=True)
        return self._driver

    def cpu(self) -> CpuUse:
        """Sum CPU time over the process trees; the driver's children are workers."""
        driver = processes.tree(self._driver.pid) if self._driver else []
        children = [process.pid for process in driver[1:]]
        nodes = [p.pid for part in self._nodes for p in processes.tree(part.process.pid)]
        return CpuUse(
            driver_ns=processes.cpu_ns([process.pid for process in driver[:1]]),
            services_ns=processes.cpu_ns([part.process.pid for part in self._services]),
            workers_ns=processes.cpu_ns([*children, *nodes]),
        )

    def failure(self) -> str | None:
        """Name the first service or worker that has ended, with the last line of its log."""
        for part in [*self._services, *self._nodes]:
            if (code := part.process.poll()) is not None:
                return f"{part.name} ended with code {code}: {last_line(part.log)}"
        return None

    def down(self) -> int:
        """Stop the driver first: a client must not outlive its broker, it would reconnect."""
        if self._driver:
            processes.stop(self._driver)
        for part in [*self._nodes, *self._services]:
            part.process.terminate()
        for part in [*self._nodes, *self._services]:
            processes.stop(part.process)
        return processes.reap_trial(self.site.environment[processes.TRIAL])
