"""Lists the questions that test the claims: each with its trials and its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.analysis.statistics import INTERVAL_FLOOR
from lab.claims import checks, delivery
from lab.claims.checks import URGENT_TASKS, Observation, TrialRecords, usable_pairs
from lab.core.faults import Fault, FaultKind
from lab.core.model import (
    Burst,
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
from lab.results.schema import TrialRow

# Monitors are queried on loopback, and process ids are compared: containers would hide both.
PROVIDER = "local"
DEADLINE_S = 15.0
WAIT_US, CPU_US, SHORT_WAIT_US, JOB_US = 200_000, 20_000, 20_000, 3_000_000
# The stop rule is fixed in advance (METHOD M10) and does not depend on the values: stop at as many
# valid pairs as an interval needs, or after this many pairs in all.
MOST_PAIRS = 20
# A disturbed trial of a paired experiment may be repeated twice (M23); other questions are not
# about time and run once.
ATTEMPTS = 3
MINUTES, MINUTE_S = "* * * * *", 60.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """The trials that one question needs: its case, topology and number of blocks.

    `is_paired` is true where every block compares two topologies; such an experiment may end early.
    """

    cell: Case
    cores: tuple[int, ...] = (1,)
    workers_per_core: int = 1
    nodes: int = 1
    blocks: int = 1
    warmup_per_slot: int = 0
    deadline_s: float = DEADLINE_S
    is_paired: bool = False

    def is_done(self, rows: Sequence[TrialRow]) -> bool:
        """Return True if a backend's rows suffice before all blocks have run."""
        # One failed trial leaves the claim unmeasured, whatever further pairs show.
        failed = any(row.status != Status.OK for row in rows)
        return self.is_paired and (failed or len(usable_pairs(rows)) >= INTERVAL_FLOOR)

    def cell_of(self, label: str) -> Case:
        """Return the case for a label, with a period that its scheduler supports."""
        arrival, finest_s = self.cell.arrival, registry.select(label).backend.finest_period_s
        if not isinstance(arrival, Periodic) or arrival.cron or finest_s <= arrival.every_s:
            return self.cell
        # Where the finest period is a minute, two occurrences keep the trial short.
        slower = replace(arrival, every_s=0.0, cron=MINUTES, n_occurrences=2)
        if finest_s < MINUTE_S:
            slower = replace(arrival, every_s=finest_s)
        return replace(self.cell, arrival=slower)

    def selection(self, label: str, seed: int) -> Selection:
        """Return the selection for a campaign of this experiment on one label."""
        return Selection(
            labels=(label,),
            cells=(self.cell_of(label),),
            cores=self.cores,
            nodes=(self.nodes,),
            workers_per_core=(self.workers_per_core,),
            provider=PROVIDER,
            blocks=self.blocks,
            seed=seed,
            warmup_per_slot=self.warmup_per_slot,
            deadline_s=self.deadline_s,
            offers=PROVIDERS[PROVIDER].offered(),
            is_on_host=PROVIDERS[PROVIDER].is_on_host,
            fault_lacks={kind: PROVIDERS[PROVIDER].fault_lack(kind) for kind in FaultKind},
        )

    def includes(self, spec: TrialSpec) -> bool:
        """Return True if a trial belongs to this experiment."""
        return (
            spec.workload == self.cell.workload
            and spec.arrival == self.cell_of(spec.label).arrival
            and spec.topology.nodes == self.nodes
            and spec.fault == self.cell.fault
        )


# Waits are long beside the fork of a worker, which would otherwise hide that tasks overlap.
WAITING = Experiment(Case("io", Burst(24), WAIT_US), cores=(2,), workers_per_core=2)
# Only this burst is judged by its speed, so only it needs a warm-up (METHOD M16).
COMPUTING = Experiment(
    Case("cpu", Burst(50), CPU_US),
    cores=(1, 2),
    blocks=MOST_PAIRS,
    warmup_per_slot=4,
    is_paired=True,
)
ON_NODES = Experiment(WAITING.cell, workers_per_core=2, nodes=2)
VARIABLE = Experiment(Case("shared_global", Burst(40)), cores=(2,))
BLOCK = Experiment(Case("shared_block", Burst(40)), cores=(2,))
STORE = Experiment(Case("shared_store", Burst(40)), cores=(2,))
# django-q2 submits a task that raised again after one minute.
FAILING = Experiment(Case("flaky", Retry(10)), deadline_s=75.0)
# One slot, so that tasks of low priority still wait when the urgent ones arrive.
RANKED = Experiment(Case("io", Priority(40 + URGENT_TASKS, URGENT_TASKS), SHORT_WAIT_US))
# Three seconds of work for one slot: the submitter is killed long before the last task ends.
ABANDONED = Experiment(Case("io", ClientCrash(15), WAIT_US))
MONITORED = Experiment(Case("io", Monitoring(8), SHORT_WAIT_US))
SCHEDULED = Experiment(Case("noop", Periodic(1, n_occurrences=5, every_s=1.0)))
# A kill must find a task, so tasks are long; two slots, so that others wait behind them. A system
# that redelivers after a minute needs the rest of the time.
HIT_US, HIT_HZ, HITS = 200_000, 5.0, 2
KILLED, CHILD_KILLED = (
    Experiment(
        Case("io", fitted(Paced(1, rate_hz=HIT_HZ), fault), HIT_US, fault=fault),
        cores=(2,),
        deadline_s=120.0,
    )
    for fault in (Fault(FaultKind.WORKER_KILL, HITS), Fault(FaultKind.CHILD_KILL, HITS))
)
REMOVED = Experiment(Case("noop", Periodic(1, n_occurrences=3, every_s=1.0, is_removed=True)))
# For a backend that accepts no tasks, jobs that are due at the same instant replace them.
# As many occurrences as an interval needs: `checks.jobs_gain` compares each of them.
JOBS = Experiment(Case("cpu", Periodic(2, INTERVAL_FLOOR, cron=MINUTES), JOB_US), cores=(2,))


@dataclass(frozen=True, slots=True)
class Criterion:
    """A statement to test.

    Attributes:
        about: The statement, as `lab claims --help` prints it.
        experiment: The trials that it needs.
        judge: The check over these trials.
        ends: Status values at which a trial is used; with any other status the claim is not
            measured, for the trial's reason.
    """

    about: str
    experiment: Experiment
    judge: Callable[[Sequence[TrialRecords]], Observation]
    ends: tuple[Status, ...] = (Status.OK,)


GAINS = f"a second worker on a second core does more than {checks.GAIN} times the CPU work"
CRITERIA: Mapping[str, Criterion] = {
    "concurrent": Criterion("tasks that wait run at the same time", WAITING, checks.overlap),
    "parallel": Criterion(GAINS, COMPUTING, checks.gain),
    "io-bound": Criterion(
        "on average at least half of four worker slots wait at once", WAITING, checks.io_bound
    ),
    "cpu-bound": Criterion(GAINS, COMPUTING, checks.gain),
    "shared-memory": Criterion(
        "tasks run in the submitter's process", WAITING, checks.shared_memory
    ),
    "own-memory": Criterion("each worker slot has its own process", WAITING, checks.own_memory),
    "single-threaded": Criterion("all tasks run in one thread", WAITING, checks.one_thread),
    "all-workers": Criterion("all four worker slots are busy at once", WAITING, checks.all_workers),
    "runs": Criterion("tasks run with every label that the claim names", WAITING, checks.ran),
    "distributed": Criterion("both of two nodes execute tasks", ON_NODES, checks.several_nodes),
    "shared-variable": Criterion(
        "the submitter sees changes of a global variable that tasks make",
        VARIABLE,
        checks.seen_by_submitter,
    ),
    "shared-block": Criterion(
        "the submitter sees changes of a `multiprocessing.shared_memory` block",
        BLOCK,
        checks.seen_by_submitter,
    ),
    "shared-store": Criterion(
        "the submitter sees changes of a counter in Redis", STORE, checks.seen_by_submitter
    ),
    # A retry may come after the deadline; the ledger still has those that ran before it.
    "retry": Criterion(
        "tasks that raise are run again", FAILING, checks.retried, (Status.OK, Status.TIMEOUT)
    ),
    "priority": Criterion(
        "urgent tasks overtake at least half of the waiting tasks", RANKED, checks.overtaking
    ),
    "background": Criterion(
        "acknowledged tasks end after their submitter is killed", ABANDONED, checks.survives
    ),
    # A monitor that does not answer fails the trial, and this failure is the result.
    "monitoring": Criterion(
        "the backend's monitor answers over HTTP and lists the cluster",
        MONITORED,
        checks.answered,
        (Status.OK, Status.FAILED),
    ),
    "scheduling": Criterion(
        "a job runs repeatedly; more than half of its occurrences are on time",
        SCHEDULED,
        checks.scheduled,
    ),
    "static-schedule": Criterion(
        "the same, for a job that the scheduler reads at its start", SCHEDULED, checks.scheduled
    ),
    "dynamic-schedule": Criterion(
        "a job added at run time runs, and stops after its removal",
        REMOVED,
        checks.rescheduled,
    ),
    "kept-then-removed": Criterion(
        "a job runs when due until it is removed", REMOVED, checks.scheduled
    ),
    # A task that is never delivered again keeps the trial waiting until its deadline.
    "redelivered": Criterion(
        "tasks that a killed worker was executing are executed again and end",
        KILLED,
        delivery.executed_again,
        (Status.OK, Status.TIMEOUT),
    ),
    "at-most-once": Criterion(
        "tasks that a killed worker was executing are not started again",
        KILLED,
        delivery.never_again,
        (Status.OK, Status.TIMEOUT),
    ),
    "requeued": Criterion(
        "tasks that a killed child of a worker was executing are executed again and end",
        CHILD_KILLED,
        delivery.executed_again,
        (Status.OK, Status.TIMEOUT),
    ),
    "jobs-kept": Criterion("jobs due at full minutes run at full minutes", JOBS, checks.scheduled),
    "jobs-overlap": Criterion(
        "jobs due at the same instant run at the same time", JOBS, checks.overlap
    ),
    "jobs-parallel": Criterion(
        f"two such jobs do more than {checks.GAIN} times the CPU work on two cores",
        JOBS,
        checks.jobs_gain,
    ),
    "jobs-apart": Criterion("each job has its own process", JOBS, checks.own_memory),
}


def plan(tests: Iterable[tuple[str, str]], seed: int) -> Plan:
    """Plan the trials that test each pair of a question and a label; shared trials run once."""
    # A dictionary and not a set: equal seeds give equal plans, with trials in the same order.
    wanted = dict.fromkeys((CRITERIA[question].experiment, label) for question, label in tests)
    plans = [make_plan(experiment.selection(label, seed)) for experiment, label in wanted]
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
