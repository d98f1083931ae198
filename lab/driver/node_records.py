"""Brings the records of workers on other machines into the driver's ledger, on its clock."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lab.core.errors import ClusterError, LabError
from lab.core.provider import AgentAddress
from lab.driver.worker_records import WorkerRecords
from lab.recording import handover, node_samples
from lab.recording.agent_connection import AgentConnection
from lab.recording.corrected_records import correct
from lab.recording.ledger_reader import Completions
from lab.recording.node_agent import TOKEN
from lab.recording.node_clock import NodeClock, OffsetReading, offset_reading
from lab.recording.node_link import AgentCounter, NodeLink
from lab.recording.sample import Sample

# How long an agent may take to start, and its network to know its name.
START_S = 30.0
# Between two readings of all clocks: the wander of a rate in half of it is below 10 us.
READ_S = 1.0
# How long to try again after an error: while the trial runs, and after its window.
FETCH_S, HAND_OVER_S = 1.0, 20.0


class NodeRecords(WorkerRecords):
    """The records of workers whose machines have an agent each.

    The ledger has copies whose instants are of the driver's clock, and nothing else; beside it, the
    folder ``records`` has the files of each node as its workers wrote them.
    """

    missing = "The records of other machines were not handed over."

    def __init__(
        self, ledger: Path, agents: Sequence[AgentAddress], token: str, samples: list[Sample]
    ) -> None:
        super().__init__(ledger, samples)
        self._token = token
        self._links = [NodeLink(agent, token) for agent in agents]
        self._readings: dict[NodeLink, list[OffsetReading]] = {link: [] for link in self._links}
        self.incomplete: set[int] = set()
        self._copies_early, self._is_over = False, threading.Event()
        # Of the copied files, which two threads may bring up to date.
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Wait until each agent answers, and begin to read the clocks."""
        deadline = time.monotonic() + START_S
        for link in self._links:
            while (error := self._read_clock(link)) is not None:
                if time.monotonic() > deadline:
                    raise ClusterError(f"{link.address.name}: its agent did not answer. {error}")
                time.sleep(handover.RETRY_S)
        for link in self._links:  # so that one that does not answer delays no other
            threading.Thread(target=self._keep_reading, args=(link,), daemon=True).start()

    def counter(self, tasks: range) -> Completions:
        """Return a counter that asks the agents."""
        return AgentCounter(self._links, tasks)

    def read_clocks(self) -> None:
        """Read the clock of each node; one that does not answer is read the next time."""
        for link in self._links:
            self._read_clock(link)

    def _keep_reading(self, link: NodeLink) -> None:
        while not self._is_over.wait(READ_S):
            has_answered = self._read_clock(link) is None
            if has_answered and self._copies_early and not self._is_over.is_set():
                with contextlib.suppress(LabError):  # which `hand_over` reports
                    self._copy([link], FETCH_S)

    def copy_early(self) -> None:
        """Copy the records of each node once a second, after the reading of its clock."""
        self._copies_early = True

    def _read_clock(self, link: NodeLink) -> Exception | None:
        """Read the clock of a node, and return the error if that failed."""
        try:
            exchanges = link.ask(AgentConnection.exchanges)
            reading = offset_reading(exchanges)
        except (ClusterError, ValueError) as error:
            return error
        self._readings[link].append(reading)
        self.samples += node_samples.of_reading(link.address.node, exchanges, reading)
        return None

    def fetch(self) -> Path:
        """Copy what the nodes have recorded so far, as far as they answer."""
        self._copy([link for link in self._links if self._read_clock(link) is None], FETCH_S)
        self._correct()
        return self.ledger

    def hand_over(self) -> str:
        """Copy all records, measure the bandwidth, and end the connections; only once."""
        if self._is_over.is_set():
            return self.missing
        self._is_over.set()
        self.read_clocks()
        problems = list[str]()
        for step in (partial(self._copy, self._links, HAND_OVER_S), self._correct):
            try:
                problems += step()
            except LabError as error:  # a full disk here; the nodes keep their records
                problems.append(str(error))
                self.incomplete |= {link.address.node for link in self._links}
        self.missing = " ".join(problems)
        for link in self._links:
            # Of a node that does not answer any more, the problem is known by now.
            with contextlib.suppress(ClusterError):
                at_ns, rate = time.monotonic_ns(), link.ask(AgentConnection.bandwidth)
                self.samples.append(node_samples.of_bandwidth(link.address.node, at_ns, rate))
            link.close()
        return self.missing

    def _copy(self, links: Sequence[NodeLink], within_s: float) -> list[str]:
        """Copy the files of nodes; return one sentence for each problem."""
        deadline, problems = time.monotonic() + within_s, list[str]()
        for link in links:
            left_s, node = max(0.0, deadline - time.monotonic()), link.address.node
            with self._lock:
                of_node = handover.hand_over(link.address, self._token, self._folder(link), left_s)
                self.incomplete.discard(node)
                self.incomplete |= {node} if of_node else set()
            problems += of_node
        return problems

    def _correct(self) -> list[str]:
        """Make the ledger from the copied files; return one sentence for each problem."""
        # A file of the ledger has an instant in its name, which each reading may change.
        for path in self.ledger.iterdir():
            path.unlink()
        self.bound_ns, problems = 0, list[str]()
        for link in self._links:
            try:
                clock = NodeClock(self._readings[link])
            except ValueError as error:
                unplaced = f"{link.address.name}: no record has an instant of this clock."
                problems.append(f"{unplaced} {error}")
                self.incomplete.add(link.address.node)
            else:
                bound_ns = correct(self._folder(link), self.ledger, clock)
                self.bound_ns = max(self.bound_ns, bound_ns)
        return problems

    def _folder(self, link: NodeLink) -> Path:
        folder = self.ledger.parent / "records" / str(link.address.node)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def records_of(
    ledger: Path, agents: Sequence[AgentAddress], samples: list[Sample]
) -> WorkerRecords:
    """Return the records of the workers: by the agents, or in the ledger if there are none."""
    if not agents:
        return WorkerRecords(ledger, samples)
    return NodeRecords(ledger, agents, os.environ[TOKEN], samples)
