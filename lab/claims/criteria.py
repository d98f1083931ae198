"""Lists the criteria that test the statements of claims: each with its trials and its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.analysis.statistics import INTERVAL_FLOOR
from lab.claims import checks, delivery
from lab.claims.checks import URGENT_TASKS, Observation, TrialRecords, usable_pairs
from lab.core.backend import capabilities, services_of
from lab.core.errors import ClusterError
from lab.core.faults import FaultKind, of_kind
from lab.core.model import (
    Burst,
    Capability,
    ClientCrash,
    Monitoring,
    Paced,
    Periodic,
    Priority,
    Retry,
    Status,
    TrialSpec,
)
from lab.planning import registry
from lab.planning.faults import fitted
from lab.planning.plan import Plan, Selection, make_plan
from lab.planning.presets import Case
from lab.providers import PROVIDERS
from lab.providers.choice import CONTAINERS, LOCAL
from lab.providers.engine import find_engine
from lab.providers.local import LocalCluster
from lab.results.schema import TrialRow

DEADLINE_S = 15.0
WAIT_US, CPU_US, SHORT_WAIT_US, JOB_US = 200_000, 20_000, 20_000, 3_000_000
# The stop rule is fixed in advance (METHOD M10) and does not depend on the values: stop at as many
# valid pairs as an interval needs, or after this many pairs in all.
MOST_PAIRS = 20
# A disturbed trial of a paired set may be repeated twice (M23); other criteria are not
# about time and run once.
ATTEMPTS = 3
MINUTES, MINUTE_S = "* * * * *", 60.0


@dataclass(frozen=True, slots=True)
class TrialSet:
    """The trials that one criterion needs: its case, topology and number of blocks.

    `is_paired` is true where every block compares two topologies; such a set may end early.
    The provider is local, because monitors are queried on loopback and process ids are compared:
    both are hidden in containers. A system whose server runs in containers only runs in them.
    """

    case: Case
    cores: tuple[int, ...] = (1,)
    workers_per_core: int = 1
    nodes: int = 1
    blocks: int = 1
    warmup_per_slot: int = 0
    deadline_s: float = DEADLINE_S
    is_paired: bool = False

    def provider_of(self, label: str) -> str:
        """Return the provider of a label: containers if only they have its servers."""
        chosen = registry.select(label)
        servers = set(services_of(chosen.backend, chosen.variant))
        is_on_host = isinstance(self.case.arrival, ClientCrash | Monitoring)
        return LOCAL if is_on_host or servers <= LocalCluster.offers else CONTAINERS

    def lack(self, label: str) -> str:
        """Return why the provider of a label is not available on this machine; empty if it is."""
        if self.provider_of(label) == CONTAINERS:
            try:
                find_engine()
            except ClusterError as error:
                return str(error)
        return ""

    def is_done(self, rows: Sequence[TrialRow]) -> bool:
        """Return True if a backend's rows suffice before all blocks have run."""
        # One failed trial leaves the claim unmeasured, whatever further pairs show.
        failed = any(row.status != Status.OK for row in rows)
        return self.is_paired and (failed or len(usable_pairs(rows)) >= INTERVAL_FLOOR)

    def case_of(self, label: str) -> Case:
        """Return the case for a label, with a period that its scheduler supports.

        A backend that accepts no single tasks receives paced ones as one batch.
        """
        chosen = registry.select(label)
        arrival, finest_s = self.case.arrival, chosen.backend.finest_period_s
        takes_one = Capability.SUBMIT in capabilities(chosen.backend, chosen.variant)
        if isinstance(arrival, Paced) and not takes_one:
            return replace(self.case, arrival=Burst(arrival.n_tasks))
        if not isinstance(arrival, Periodic) or arrival.cron or finest_s <= arrival.every_s:
            return self.case
        # Where the finest period is a minute, two occurrences keep the trial short.
        slower = replace(arrival, every_s=0.0, cron=MINUTES, n_occurrences=2)
        if finest_s < MINUTE_S:
            slower = replace(arrival, every_s=finest_s)
        return replace(self.case, arrival=slower)

    def selection(self, label: str, seed: int) -> Selection:
        """Return the selection for a campaign of these trials on one label."""
        name = self.provider_of(label)
        provider = PROVIDERS[name]
        return Selection(
            labels=(label,),
            cases=(self.case_of(label),),
            cores=self.cores,
            nodes=(self.nodes,),
            workers_per_core=(self.workers_per_core,),
            provider=name,
            blocks=self.blocks,
            seed=seed,
            warmup_per_slot=self.warmup_per_slot,
            deadline_s=self.deadline_s,
            offers=provider.offered(),
            is_on_host=provider.is_on_host,
            shares_files=provider.shares_files,
            fault_lacks={kind: provider.fault_lack(kind) for kind in FaultKind},
        )

    def includes(self, spec: TrialSpec) -> bool:
        """Return True if a trial belongs to this set."""
        return (
            spec.workload == self.case.workload
            and spec.provider == self.provider_of(spec.label)
            and spec.arrival == self.case_of(spec.label).arrival
            and spec.topology.nodes == self.nodes
            and spec.fault == self.case.fault
        )


# Waits are long beside the fork of a worker, which would otherwise hide that tasks overlap.
WAITING = TrialSet(Case("io", Burst(24), WAIT_US), cores=(2,), workers_per_core=2)
# Only this burst is judged by its speed, so only it needs a warm-up (METHOD M16).
COMPUTING = TrialSet(
    Case("cpu", Burst(50), CPU_US),
    cores=(1, 2),
    blocks=MOST_PAIRS,
    warmup_per_slot=4,
    is_paired=True,
)
ON_NODES = TrialSet(WAITING.case, workers_per_core=2, nodes=2)
VARIABLE = TrialSet(Case("shared_global", Burst(40)), cores=(2,))
BLOCK = TrialSet(Case("shared_block", Burst(40)), cores=(2,))
STORE = TrialSet(Case("shared_store", Burst(40)), cores=(2,))
# django-q2 submits a task that raised again after one minute.
FAILING = TrialSet(Case("flaky", Retry(10)), deadline_s=75.0)
# One slot, so that tasks of low priority still wait when the urgent ones arrive.
RANKED = TrialSet(Case("io", Priority(40 + URGENT_TASKS, URGENT_TASKS), SHORT_WAIT_US))
# Three seconds of work for one slot: the submitter is killed long before the last task ends.
ABANDONED = TrialSet(Case("io", ClientCrash(15), WAIT_US))
MONITORED = TrialSet(Case("io", Monitoring(8), SHORT_WAIT_US))
SCHEDULED = TrialSet(Case("noop", Periodic(1, n_occurrences=5, every_s=1.0)))
# A kill must find a task, so tasks are long; two slots, so that others wait behind them. A system
# that redelivers after a minute needs the rest of the time.
HIT_US, HIT_HZ, HITS = 200_000, 5.0, 2


def _hit(kind: FaultKind, hits: int = HITS) -> TrialSet:
    fault = of_kind(kind, hits)
    case = Case("io", fitted(Paced(1, rate_hz=HIT_HZ), fault), HIT_US, fault=fault)
    return TrialSet(case, cores=(2,), deadline_s=120.0)


KILLED, CHILD_KILLED = _hit(FaultKind.WORKER_KILL), _hit(FaultKind.CHILD_KILL)
POISONED = _hit(FaultKind.POISON, 1)
BROKER_KILLED = _hit(FaultKind.BROKER_KILL)
REMOVED = TrialSet(Case("noop", Periodic(1, n_occurrences=3, every_s=1.0, is_removed=True)))
# For a backend that accepts no tasks, jobs that are due at the same instant replace them.
# As many occurrences as an interval needs: `checks.jobs_gain` compares each of them.
JOBS = TrialSet(Case("cpu", Periodic(2, INTERVAL_FLOOR, cron=MINUTES), JOB_US), cores=(2,))


@dataclass(frozen=True, slots=True)
class Criterion:
    """The test of a statement of `lab.claims.statements`, which has the same name.

    Attributes:
        trials: The trials that it needs.
        judge: The check over these trials.
        ends: Status values at which a trial is used; with any other status the claim is not
            measured, for the trial's reason.
    """

    trials: TrialSet
    judge: Callable[[Sequence[TrialRecords]], Observation]
    ends: tuple[Status, ...] = (Status.OK,)


CRITERIA: Mapping[str, Criterion] = {
    "concurrent": Criterion(WAITING, checks.overlap),
    "parallel": Criterion(COMPUTING, checks.gain),
    "io-bound": Criterion(WAITING, checks.io_bound),
    "cpu-bound": Criterion(COMPUTING, checks.gain),
    "shared-memory": Criterion(WAITING, checks.shared_memory),
    "own-memory": Criterion(WAITING, checks.separate_memory),
    "single-threaded": Criterion(WAITING, checks.one_thread),
    "all-workers": Criterion(WAITING, checks.all_workers),
    "runs": Criterion(WAITING, checks.ran),
    "distributed": Criterion(ON_NODES, checks.several_nodes),
    "shared-variable": Criterion(VARIABLE, checks.seen_by_submitter),
    "shared-block": Criterion(BLOCK, checks.seen_by_submitter),
    "shared-store": Criterion(STORE, checks.seen_by_submitter),
    # A retry may come after the deadline; the ledger still has those that ran before it.
    "retry": Criterion(FAILING, checks.retried, (Status.OK, Status.TIMEOUT)),
    "priority": Criterion(RANKED, checks.overtaking),
    "background": Criterion(ABANDONED, checks.survives),
    # A monitor that does not answer fails the trial, and this failure is the result.
    "monitoring": Criterion(MONITORED, checks.answered, (Status.OK, Status.FAILED)),
    "scheduling": Criterion(SCHEDULED, checks.scheduled),
    "static-schedule": Criterion(SCHEDULED, checks.scheduled),
    "dynamic-schedule": Criterion(REMOVED, checks.rescheduled),
    "kept-then-removed": Criterion(REMOVED, checks.scheduled),
    # A task that is never delivered again keeps the trial waiting until its deadline.
    "redelivered": Criterion(KILLED, delivery.executed_again, (Status.OK, Status.TIMEOUT)),
    "at-most-once": Criterion(KILLED, delivery.never_again, (Status.OK, Status.TIMEOUT)),
    "requeued": Criterion(CHILD_KILLED, delivery.executed_again, (Status.OK, Status.TIMEOUT)),
    "reported": Criterion(CHILD_KILLED, delivery.reported, (Status.OK, Status.TIMEOUT)),
    "never-reported": Criterion(CHILD_KILLED, delivery.stuck, (Status.OK, Status.TIMEOUT)),
    "blamed": Criterion(POISONED, delivery.reported, (Status.OK, Status.TIMEOUT)),
    "confirmed": Criterion(BROKER_KILLED, delivery.acknowledged_ended, (Status.OK, Status.TIMEOUT)),
    "jobs-kept": Criterion(JOBS, checks.scheduled),
    "jobs-overlap": Criterion(JOBS, checks.overlap),
    "jobs-parallel": Criterion(JOBS, checks.jobs_gain),
    "jobs-apart": Criterion(JOBS, checks.separate_memory),
}


def plan(tests: Iterable[tuple[str, str]], seed: int) -> Plan:
    """Plan the trials that test each pair of a criterion and a label; shared trials run once."""
    # A dictionary and not a set: equal seeds give equal plans, with trials in the same order.
    wanted = dict.fromkeys((CRITERIA[criterion].trials, label) for criterion, label in tests)
    plans = [make_plan(trials.selection(label, seed)) for trials, label in wanted]
    return Plan(
        tuple(trial for each in plans for trial in each.trials),
        tuple(skip for each in plans for skip in each.skips),
    )


def attempts(spec: TrialSpec, rows: Iterable[TrialRow]) -> int:
    """Return the largest number of attempts at a trial, given the rows so far; 0 omits it."""
    if not COMPUTING.includes(spec):
        return 1
    # Each label has pairs of its own: those of another backend do not suffice for it.
    similar = [row for row in rows if row.label == spec.label and row.workload == spec.workload]
    return 0 if COMPUTING.is_done(similar) else ATTEMPTS
