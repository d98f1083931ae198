"""Makes nodes on this machine that share no folder and, in a time namespace, no clock either."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.backend import setup_to_json
from lab.core.model import BackendContext, Command, TrialSpec
from lab.core.provider import AgentAddress, TrialContext
from lab.core.serialization import TrialRequest, order_to_json
from lab.driver.driver import Driver
from lab.host import connections, process_trees, processes
from lab.planning import registry
from lab.providers import PROVIDERS
from lab.providers.local import LocalCluster
from lab.providers.local_faults import LocalPart
from lab.providers.servers import free_port
from lab.recording import node_agent
from lab.running.trial import TrialObservation, place
from lab.validation.trial_row import TrialResult, collect
from lab.worker import ledger
from tests.factories.agents import LOOPBACK, TOKEN, address_of
from tests.factories.trials import CONTEXT

OFFSET_S = 10 * 3_600
ELSEWHERE = ("unshare", "--time", "--fork", "--kill-child", "--monotonic", str(OFFSET_S))


class ManyMachines(LocalCluster):
    """A local cluster in which each node has a ledger folder and an agent of its own.

    Attributes:
        elsewhere: The nodes whose monotonic clock is ten hours ahead, with that of their agent.
    """

    elsewhere: tuple[int, ...] = ()

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        self._environment[node_agent.TOKEN] = TOKEN
        self._agents: list[tuple[AgentAddress, LocalPart]] = []
        self.hosts = "|".join(f"machine-{node}" for node in self._all)

    @property
    def _all(self) -> range:
        return range(self.site.spec.topology.nodes)

    @property
    def agents(self) -> tuple[AgentAddress, ...]:
        """Return the agents of the nodes."""
        return tuple(address for address, _ in self._agents)

    def up(self) -> BackendContext:
        """Start the agents after the nodes; they need the setup too."""
        context = super().up()
        for node in self._all:
            port = free_port()
            folder = self._ledger_environment(node, 0)["LAB_LEDGER"]
            argv = (sys.executable, "-m", node_agent.__name__, folder, LOOPBACK, str(port))
            shared = self.site.placement.services
            part = self._start(Command(argv), f"agent-{node}", shared, (node, 0))
            self._agents.append((AgentAddress(node, LOOPBACK, port), part))
        return context

    def _parts(self) -> connections.Parts:
        parts, pids = super()._parts(), [part.process.pid for _, part in self._agents]
        agents = {f"agent-{pid}": tree for pid, tree in process_trees.trees(pids).items()}
        return parts._replace(everyone={**parts.everyone, **agents})

    def down(self) -> int:
        """Stop the agents first; the end of one was no failure of the trial."""
        processes.kill_started(*(part.process for _, part in self._agents))
        return super().down()

    def _start(
        self, command: Command, name: str, cpus: Sequence[int], slot: tuple[int, int] = (0, 0)
    ) -> LocalPart:
        if slot[0] in self.elsewhere and name.startswith(("node", "agent")):
            command = replace(command, argv=(*ELSEWHERE, *command.argv))
        return super()._start(command, name, cpus, slot)

    def _ledger_environment(self, node: int, slot: int) -> dict[str, str]:
        folder = machine(self.site.folder, node)
        folder.mkdir(parents=True, exist_ok=True)
        return {**super()._ledger_environment(node, slot), "LAB_LEDGER": str(folder)}


def machine(trial: Path, node: int) -> Path:
    """Return the ledger folder of a node."""
    return trial / "machines" / str(node)


def use_many_machines(monkeypatch: pytest.MonkeyPatch, *elsewhere: int) -> None:
    """Let the provider `local` start `ManyMachines`, with these nodes ten hours ahead."""
    monkeypatch.setattr(ManyMachines, "elsewhere", elsewhere)
    place_of_class = f"{__name__}:{ManyMachines.__name__}"
    monkeypatch.setitem(PROVIDERS.places, "local", place_of_class)


def driver_beside(
    folder: Path, monkeypatch: pytest.MonkeyPatch, spec: TrialSpec, port: int
) -> Driver:
    """Return a driver in this process whose tasks are recorded on node 0, with an agent at `port`.

    The backend runs the tasks in this process, and they write the ledger of the node.
    """
    ledger._forget()
    (folder / "ledger").mkdir()
    node = machine(folder, 0)
    node.mkdir(parents=True, exist_ok=True)
    for name, value in {"LEDGER": str(node), "NODE": "0", "SLOT": "0", "TOKEN": TOKEN}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    setup = registry.setup(registry.select(spec.label), spec.topology, {}, ())
    monkeypatch.setenv("LAB_SETUP", setup_to_json(setup))
    order = TrialRequest(spec, agents=(replace(address_of(port), node=0),))
    (folder / "trial.json").write_text(json.dumps(order_to_json(order)))
    return Driver(folder, lambda _: None, lambda: None)


def row_of(folder: Path, spec: TrialSpec) -> TrialResult:
    """Return the result of a trial whose driver has run in this process."""
    return collect(TrialObservation(spec, 1, folder, place(spec), 0, ""), CONTEXT)
