"""Lets a host of a swarm leave in mid-trial, as a failure of its power or its network does.

An engine cannot end its host. So helpers take the interfaces of all containers of the trial on that
host down, which lets every peer see what it sees after a failure: silence, and no connection that
ends. Then the containers are killed, with the agent that would hand the records over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from lab.core.errors import ClusterError
from lab.core.fault_hooks import LedgerView
from lab.core.faults import FaultKind, Role, Target
from lab.core.provider import TrialContext
from lab.providers import swarm_hosts
from lab.providers.compose import ComposeCluster
from lab.providers.compose_faults import WAIT_S
from lab.providers.compose_override import ENDPOINTS, NODE
from lab.providers.container_agent import ContainerLedger
from lab.providers.engine import ENGINES, engine
from lab.providers.swarm_hosts import Host, Swarm
from lab.providers.swarm_stack import AGENT
from lab.recording.ledger_reader import Writer

# One host may leave if another one remains.
FEWEST_HOSTS = 2


class HostLedgers:
    """The writers of the ledgers of all hosts; a lost host has those of its last count."""

    def __init__(self, ledgers: Mapping[str, ContainerLedger]) -> None:
        self._ledgers = ledgers
        self._finished = dict.fromkeys(ledgers, 0)
        self._lost = set[str]()

    def count(self) -> int:
        """Read the ledgers of the present hosts; return the number of finished executions."""
        for host in self._ledgers.keys() - self._lost:
            self._finished[host] = self._ledgers[host].count()
        return sum(self._finished.values())

    def lose(self, host: str) -> None:
        """Read the ledger of a host for the last time."""
        self._finished[host] = self._ledgers[host].count()
        self._lost.add(host)

    def writers(self) -> list[Writer]:
        """Return the writers at the last `count`."""
        return [writer for ledger in self._ledgers.values() for writer in ledger.writers()]


class SwarmFaults(ComposeCluster):
    """The loss of a host, and its control."""

    faults: ClassVar = frozenset({FaultKind.NONE, FaultKind.HOST_LOSS})
    _swarm: Swarm

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        self._lost = set[str]()
        self._ledgers = HostLedgers({})

    @classmethod
    def fault_lack(cls, kind: FaultKind) -> str:
        """Return why a swarm cannot have a fault: nothing but the loss of one of several hosts."""
        if kind not in cls.faults:
            return f"it has only {FaultKind.HOST_LOSS} (--provider compose has the others)"
        if kind is FaultKind.HOST_LOSS and len(swarm_hosts.known().workers) < FEWEST_HOSTS:
            return f"it has workers on one host; name another in {ENGINES}"
        return ""

    def arm(self) -> None:
        """Start the agents that read the ledgers, and the helpers that may cut a host off."""
        super().arm()
        if self.site.spec.fault is None:
            return
        mortal = {host.name for host in self._mortal()}
        with ThreadPoolExecutor() as pool:
            ledgers = [name for name in self.parts if name.startswith(AGENT)]
            list(pool.map(self._agent, ledgers))
            list(pool.map(self._helper, [name for host in mortal for name in self._parts_of(host)]))

    def open_ledger(self, tasks: range) -> LedgerView:
        """Return a view of the ledgers, which are in a volume of each host."""
        agents = [name for name in self.parts if name.startswith(AGENT)]
        self._ledgers = HostLedgers(
            {
                self._host(name).name: ContainerLedger(self._agent(name), tasks, self._since_ns)
                for name in agents
            }
        )
        return self._ledgers

    def targets(self, role: Role) -> Sequence[Target]:
        """Return the hosts that may leave, or the processes of another role."""
        if role is not Role.HOST:
            return super().targets(role)
        return [Target(role, host.name, None) for host in self._mortal()]

    def _mortal(self) -> Iterator[Host]:
        """Yield the hosts without driver and servers, if another host of workers remains."""
        used = dict.fromkeys(self._host(name) for name in self.parts if name.startswith(NODE))
        present = [host for host in used if host.name not in self._lost]
        if len(present) >= FEWEST_HOSTS:
            others = (self._swarm.manager, self._swarm.broker)
            yield from (host for host in present if host not in others)

    def _parts_of(self, host: str) -> list[str]:
        parts = [name for name in self.parts if name.startswith((NODE, AGENT))]
        return [name for name in parts if self._host(name).name == host]

    def pids_of(self, target: Target) -> set[int | None]:
        """Return the process ids of a target; None: all of a worker or a host."""
        return {None} if target.role is Role.HOST else super().pids_of(target)

    def nodes_of(self, target: Target) -> set[int | None]:
        """Return the nodes of a target: all nodes of a host."""
        if target.role is not Role.HOST:
            return super().nodes_of(target)
        return {int(n[len(NODE) :]) for n in self._parts_of(target.part) if n.startswith(NODE)}

    def dead_parts(self) -> Sequence[str]:
        """Return nothing, because a swarm starts no container a second time."""
        self.deaths()
        return ()

    def lose_host(self, target: Target) -> str:
        """Cut off all containers of the trial on a host at once, and kill them."""
        names = self._parts_of(target.part)
        with ThreadPoolExecutor() as pool:
            links = list(pool.map(self.cut, names))
        # What was sent later has not arrived.
        self.struck_ns = time.monotonic_ns()
        # Through the engine. What executes now cannot report its end to anybody.
        self._ledgers.lose(target.part)
        self._lost.add(target.part)
        for name in names:
            with engine(self.parts[name].address) as client:
                client.api.kill(self.parts[name].id)
        codes = [self._exit_code(name, WAIT_S) for name in names]
        if not all(codes):
            raise ClusterError(f"A container of {target} still runs after SIGKILL.")
        proofs = zip(names, links, codes, strict=True)
        return "; ".join(f"{name}: {link}, {code}" for name, link, code in proofs)

    def _host(self, name: str) -> Host:
        """Return the host of a container."""
        for prefix in (NODE, AGENT):
            if name.startswith(prefix):
                return self._swarm.host_of(int(name[len(prefix) :]))
        return self._swarm.broker if name in map(str, ENDPOINTS) else self._swarm.manager
