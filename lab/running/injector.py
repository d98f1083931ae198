"""Injects the faults of a trial in its window, and restarts what has ended, as a supervisor does.

The ledger shows what a target executes. It is read before a hit, to choose a target, and again
after it: the records of a process that was killed or stopped do not change, so the set of
interrupted tasks is exact. Nothing is stopped only to be read: a system may hand over tasks to a
stopped process, which a kill would then lose.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace

from lab.core.errors import ClusterError
from lab.core.fault_hooks import LedgerView
from lab.core.faults import FaultKind, Target, of_kind
from lab.core.model import TrialSpec
from lab.core.provider import Cluster
from lab.host import wall_clock
from lab.planning import faults as planned_faults
from lab.planning.phases import Phase
from lab.recording.ledger_reader import CompletionCounter
from lab.results.schema import FaultRow
from lab.running.faults import injections
from lab.running.injection import Activity, Injection, TaskFault
from lab.running.supervisor import Supervisor
from lab.running.task_faults import missed

LOOK_S = 0.005
# A hit that finds no target within this time is missed, and repeated while the window lasts.
AIM_S = 2.0


@dataclass(frozen=True, slots=True)
class _Healing:
    """A fault that must end at an instant, ns of CLOCK_MONOTONIC."""

    at_ns: int
    hit: int
    target: Target


class Injector:
    """Hits a cluster at the planned instants, in a thread of the lab.

    Attributes:
        rows: One row for each hit of the lab so far, also of those that missed.
        supervisor: It restarts what ends after the first hit.
    """

    def __init__(self, cluster: Cluster, spec: TrialSpec) -> None:
        self.rows: list[FaultRow] = []
        self._cluster, self._spec = cluster, spec
        self._fault = spec.fault or of_kind(FaultKind.NONE)
        self._injection: Injection = injections()[self._fault.kind]
        tasks = Phase.MEASURE.ids
        self._ledger: LedgerView = CompletionCounter(cluster.site.ledger, tasks)
        # A container's ledger is in a volume of the engine, and is copied only at the end.
        if spec.fault and (view := cluster.open_ledger(tasks)):
            self._ledger = view
        # A separate stream: the number of tries differs between systems, the instants must not.
        self._draw = random.Random(f"{spec.seed}/target")
        self._planned: list[int] = []
        self._end_ns = 0
        self._healing: list[_Healing] = []
        self.supervisor = Supervisor(cluster, self._fault.restart_s)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._defect: BaseException | None = None

    def start(self, begin_ns: int) -> None:
        """Begin; `begin_ns` is the start of the window."""
        wall_offset_ns = wall_clock.offset_ns(wall_clock.read())
        instants = planned_faults.instants_ns(self._spec, begin_ns, wall_offset_ns)
        self._end_ns = begin_ns + round(planned_faults.window_s(self._spec) * 1e9)
        if isinstance(self._injection, TaskFault):  # the tasks hit, and the lab supervises
            self._cluster.supervised = True
        else:
            self._planned = instants
        if instants:
            self._thread.start()

    def stop(self) -> list[FaultRow]:
        """End and heal everything; return the rows. A second call does nothing."""
        self._stopping.set()
        # A thread that was never started cannot be joined; without a window there is none.
        if self._thread.ident is not None:
            self._thread.join()
        # In any case before the trial ends: the backend's stop may need the part that was hit.
        for healing in self._healing:
            self._heal(healing)
        self._healing.clear()
        if self._defect is not None:
            raise self._defect
        return self.rows

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK_S):
                self._step(time.monotonic_ns())
        except Exception as error:  # noqa: BLE001 (`stop` raises it in the thread of the trial)
            self._defect = error

    def _step(self, now_ns: int) -> None:
        """Do what is due: heal, restart, hit."""
        for healing in [each for each in self._healing if each.at_ns <= now_ns]:
            self._healing.remove(healing)
            self._heal(healing)
        self.supervisor.step(now_ns)
        if self._planned and self._planned[0] <= now_ns:
            self._hit(self._planned.pop(0))

    def _hit(self, planned_ns: int) -> None:
        """Try to hit until a target has the wanted activity, or `AIM_S` seconds have passed."""
        row = missed(self._spec, len(self.rows), planned_ns, "")
        give_up = time.monotonic() + AIM_S
        hit, reason = None, "no target"
        while hit is None and time.monotonic() < give_up and not self._stopping.is_set():
            hit, reason = self._try(row)
            self._stopping.wait(0 if hit else LOOK_S)
        self.rows.append(hit or replace(row, reason=reason))
        again_ns = time.monotonic_ns()
        if hit is None and again_ns < self._end_ns:
            # A missed hit is repeated while the window lasts (METHOD M27).
            self._planned.insert(0, again_ns)

    def _try(self, row: FaultRow) -> tuple[FaultRow | None, str]:
        """Hit a target of the wanted activity; otherwise return why there is none."""
        targets = [*self._injection.targets(self._cluster)]
        # Otherwise each hit would be on the first worker of the list.
        self._draw.shuffle(targets)
        reason = f"no process for {self._fault.kind}"
        wanted = self._injection.wanted
        for target in targets:
            # Before the hit, because afterwards the killed processes cannot be listed.
            pids = self._cluster.pids_of(target)
            before = self._activity(target, pids)
            if wanted not in (None, before[0]):
                reason = f"no target was {wanted}"
                continue
            try:
                hit = self._strike(row, target)
            except ClusterError as error:
                reason = str(error)
                continue
            activity, task_ids = (
                before if self._injection.is_gradual else self._activity(target, pids)
            )
            interrupted = " ".join(map(str, sorted(task_ids)))
            return replace(hit, activity=activity, task_ids=interrupted), ""
        return None, reason

    def _strike(self, row: FaultRow, target: Target) -> FaultRow:
        """Hit a target.

        Raises:
            ClusterError: It was not hit.
        """
        # The control ends nothing, so a part that ends in it is a failure of the trial.
        self._cluster.supervised = self._fault.kind is not FaultKind.NONE
        # For hooks without a signal. The others set it later: listing processes takes up to 60 ms.
        self._cluster.struck_ns = time.monotonic_ns()
        proof = self._injection.inject(self._cluster, target, self._fault)
        struck_ns = self._cluster.struck_ns
        if self._fault.heal_s:
            heal_ns = struck_ns + round(self._fault.heal_s * 1e9)
            self._healing.append(_Healing(heal_ns, row.hit, target))
        name = str(target)
        return replace(
            row, injected_ns=struck_ns, role=target.role, target=name, proof=proof, status="hit"
        )

    def _activity(self, target: Target, pids: set[int | None]) -> tuple[Activity, set[int]]:
        """Return what the processes of a target execute, from their ledgers."""
        self._ledger.count()
        nodes = self._cluster.nodes_of(target)
        writers = [
            writer
            for writer in self._ledger.writers()
            if (None in pids or writer.pid in pids)
            and not nodes.isdisjoint({None, writer.node})
            and target.slot in (None, writer.slot)
        ]
        if not writers:
            return Activity.UNKNOWN, set()
        task_ids = {task_id for writer in writers for task_id in writer.unfinished}
        return (Activity.EXECUTING if task_ids else Activity.IDLE), task_ids

    def _heal(self, healing: _Healing) -> None:
        row = self.rows[healing.hit]
        try:
            proof = self._injection.heal(self._cluster, healing.target)
        except ClusterError as error:  # such as a worker that ended while its network was cut
            self.rows[healing.hit] = replace(row, reason=str(error))
        else:
            proofs = "; ".join(filter(None, [row.proof, proof]))
            self.rows[healing.hit] = replace(row, healed_ns=time.monotonic_ns(), proof=proofs)
