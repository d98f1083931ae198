"""What is asked of a system: the trials that ask it, and the judge that reads the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab import registry
from lab.claims import judges
from lab.claims.judges import URGENT_TASKS, Finding, Shown, usable_pairs
from lab.clusters import PROVIDERS
from lab.model import (
    Abandoned,
    Burst,
    Monitored,
    Periodic,
    Ranked,
    Retried,
    Status,
    TrialSpec,
)
from lab.plan import Plan, Selection, make_plan
from lab.presets import Cell
from lab.statistics import INTERVAL_FLOOR
from lab.tables import TrialRow

# A monitor is asked on loopback, and process ids are compared, which containers hide.
PROVIDER = "local"
DEADLINE_S = 15.0
WAIT_US, CPU_US, SHORT_WAIT_US, JOB_US = 200_000, 20_000, 20_000, 3_000_000
# The stop rule is set beforehand (METHOD M10): as many pairs that nothing disturbed as an interval
# takes, whatever they say, and of all pairs no more than these.
MOST_PAIRS = 20
# What is disturbed in it may be run again twice (M23). Most questions are not about time: once.
ATTEMPTS = 3
MINUTES, MINUTE_S = "* * * * *", 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """The trials that one answer needs: what is offered, and on how much."""

    cell: Cell
    cores: tuple[int, ...] = (1,)
    workers_per_core: int = 1
    nodes: int = 1
    blocks: int = 1
    warmup_per_slot: int = 0
    deadline_s: float = DEADLINE_S
    is_paired: bool = False

    def is_done(self, rows: Sequence[TrialRow]) -> bool:
        """Tell whether a system's rows are enough before all blocks have run."""
        failed = any(row.status != Status.OK for row in rows)
        return self.is_paired and (failed or len(usable_pairs(rows)) >= INTERVAL_FLOOR)

    def cell_of(self, label: str) -> Cell:
        """Return the cell for a label: no job more often than its scheduler knows."""
        arrival, finest_s = self.cell.arrival, registry.select(label).backend.finest_period_s
        if not isinstance(arrival, Periodic) or arrival.cron or finest_s <= arrival.every_s:
            return self.cell
        slower = replace(arrival, every_s=0.0, cron=MINUTES, n_occurrences=2)
        if finest_s < MINUTE_S:
            slower = replace(arrival, every_s=finest_s)
        return replace(self.cell, arrival=slower)

    def selection(self, label: str, seed: int) -> Selection:
        """Return what a campaign of this probe selects."""
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
        )

    def asked(self, spec: TrialSpec) -> bool:
        """Tell whether a trial is one of this probe's."""
        return (
            spec.workload == self.cell.workload
            and spec.arrival == self.cell_of(spec.label).arrival
            and spec.topology.nodes == self.nodes
        )


WAITING = Probe(Cell("io", Burst(24), WAIT_US), cores=(2,), workers_per_core=2)
COMPUTING = Probe(
    Cell("cpu", Burst(50), CPU_US),
    cores=(1, 2),
    blocks=MOST_PAIRS,
    warmup_per_slot=4,
    is_paired=True,
)
ON_NODES = Probe(WAITING.cell, workers_per_core=2, nodes=2)
VARIABLE = Probe(Cell("shared_global", Burst(40)), cores=(2,))
BLOCK = Probe(Cell("shared_block", Burst(40)), cores=(2,))
STORE = Probe(Cell("shared_store", Burst(40)), cores=(2,))
# As long as a minute, after which django-q2 presents again what raised.
FAILING = Probe(Cell("flaky", Retried(10)), deadline_s=75.0)
RANKED = Probe(Cell("io", Ranked(40 + URGENT_TASKS, URGENT_TASKS), SHORT_WAIT_US))
ABANDONED = Probe(Cell("io", Abandoned(15), WAIT_US))
MONITORED = Probe(Cell("io", Monitored(8), SHORT_WAIT_US))
SCHEDULED = Probe(Cell("noop", Periodic(1, n_occurrences=5, every_s=1.0)))
REMOVED = Probe(Cell("noop", Periodic(1, n_occurrences=3, every_s=1.0, is_removed=True)))
# Of a system that takes no tasks, jobs that are due at one instant tell the same.
JOBS = Probe(Cell("cpu", Periodic(2, INTERVAL_FLOOR, cron=MINUTES), JOB_US), cores=(2,))


@dataclass(frozen=True, slots=True)
class Question:
    """Something that may be so or not; `ends` are the ways in which its trials may end.

    A trial that ended otherwise tells nothing but its reason.
    """

    about: str
    probe: Probe
    judge: Callable[[Sequence[Shown]], Finding]
    ends: tuple[Status, ...] = (Status.OK,)


GAINS = f"CPU work gains more than {judges.GAIN} times by a second worker on a second core"
QUESTIONS: Mapping[str, Question] = {
    "concurrent": Question("tasks that wait do so at the same time", WAITING, judges.overlap),
    "parallel": Question(GAINS, COMPUTING, judges.gain),
    "io-bound": Question(
        "on average at least half of four slots wait at once", WAITING, judges.io_bound
    ),
    "cpu-bound": Question(GAINS, COMPUTING, judges.gain),
    "shared-memory": Question(
        "tasks run in the submitter's process", WAITING, judges.shared_memory
    ),
    "own-memory": Question("each slot is a process of its own", WAITING, judges.own_memory),
    "single-threaded": Question("all tasks run in one thread", WAITING, judges.one_thread),
    "all-workers": Question("all four slots are at work at once", WAITING, judges.all_workers),
    "runs": Question("tasks run in every way that is named", WAITING, judges.ran),
    "distributed": Question("both of two nodes execute tasks", ON_NODES, judges.several_nodes),
    "shared-variable": Question(
        "a variable that tasks change has changed for the submitter",
        VARIABLE,
        judges.seen_by_submitter,
    ),
    "shared-block": Question(
        "so has a block of `multiprocessing.shared_memory`", BLOCK, judges.seen_by_submitter
    ),
    "shared-store": Question("so has a counter in Redis", STORE, judges.seen_by_submitter),
    "retry": Question(
        "tasks that raise are run again", FAILING, judges.retried, (Status.OK, Status.TIMEOUT)
    ),
    "priority": Question(
        "urgent tasks overtake at least half of those that wait", RANKED, judges.overtaking
    ),
    "background": Question(
        "accepted tasks end although their submitter is killed", ABANDONED, judges.survives
    ),
    "monitoring": Question(
        "the system's own monitor answers over HTTP and knows the cluster",
        MONITORED,
        judges.answered,
        (Status.OK, Status.FAILED),
    ),
    "scheduling": Question(
        "a job runs again and again when it is due, half of the occurrences or more",
        SCHEDULED,
        judges.scheduled,
    ),
    "static-schedule": Question(
        "so does a job that the scheduler reads as it starts", SCHEDULED, judges.scheduled
    ),
    "dynamic-schedule": Question(
        "a job that is added while all runs is run, and no more once it is removed",
        REMOVED,
        judges.rescheduled,
    ),
    "kept-then-removed": Question(
        "so is a job that will be removed, as long as it is there", REMOVED, judges.scheduled
    ),
    "jobs-kept": Question("jobs due at full minutes run then", JOBS, judges.scheduled),
    "jobs-overlap": Question("jobs due at one instant run at once", JOBS, judges.overlap),
    "jobs-parallel": Question(
        f"two such jobs gain more than {judges.GAIN} times by two cores", JOBS, judges.jobs_gain
    ),
    "jobs-apart": Question("jobs run in processes of their own", JOBS, judges.own_memory),
}


def plan(asked: Iterable[tuple[str, str]], seed: int) -> Plan:
    """Plan the trials that answer each pair of a question and a label; shared ones run once."""
    wanted = dict.fromkeys((QUESTIONS[question].probe, label) for question, label in asked)
    plans = [make_plan(probe.selection(of, seed)) for probe, of in wanted]
    return Plan(
        tuple(trial for each in plans for trial in each.trials),
        tuple(skip for each in plans for skip in each.skips),
    )


def attempts(spec: TrialSpec, rows: Iterable[TrialRow]) -> int:
    """Return how often a planned trial may be tried, given the rows there are: 0 is not at all."""
    if not COMPUTING.asked(spec):
        return 1
    of_it = [row for row in rows if row.label == spec.label and row.workload == spec.workload]
    return 0 if COMPUTING.is_done(of_it) else ATTEMPTS
