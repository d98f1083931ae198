"""Lists for each kind of fault a system that must lose tasks by it, and one that must not.

A task is harmed if it is lost, stuck, failed or executed twice. A pause or a cut of some seconds
harms no task anywhere, and a full disk refuses tasks, so these kinds have no system that must lose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from lab.core.faults import FaultKind
from lab.core.model import Arrival, Burst, Paced, Topology
from lab.core.outcomes import HARM, TaskOutcome
from lab.planning import faults
from lab.planning.fault_tasks import KINDS
from tests.factories import fault_trials
from tests.factories.fault_trials import LONG, PACED, TWO

# Two workers take five seconds for it, so that a hit meets tasks that wait.
BURST = Burst(200)
# Tasks of a second, so seldom that half of the time a worker has none.
LONG_US, SELDOM = 1_000_000, Paced(1, 1.0)
# Celery reserves four tasks for each of two processes. They are lost with its connection until the
# visibility timeout of an hour ends.
PREFETCHED = 8


class Case(NamedTuple):
    """One trial of a system.

    - `fault`: as typed.
    - `deadline_s`: the seconds that the drain may take.
    - `n_held`: the tasks that its workers may hold beside those that they execute.
    """

    label: str
    fault: str
    deadline_s: float = 10.0
    arrival: Arrival = PACED
    topology: Topology = TWO
    size: int = 50_000
    n_held: int = 0

    @property
    def kind(self) -> FaultKind:
        """The kind of the fault."""
        return faults.parse(self.fault).kind

    @property
    def name(self) -> str:
        """The id of the test."""
        return f"{self.fault}-{self.label}"


class Harmed(NamedTuple):
    """The harmed tasks of a trial and their outcomes; a failed assertion prints them.

    - `hit`: the target, its activity, and the proof.
    - `by_hit`: the tasks that it interrupted or that are the fault.
    """

    hit: str
    by_hit: dict[int, str]
    others: dict[int, str]


# `test_faults` and `test_compose_faults` test further systems.
LOSES = (
    # The results were in the memory of the worker, so Dask computes finished tasks again.
    Case("dask[distributed]", "worker-kill"),
    # The only idle child waits with the lock of the queue, which nothing releases.
    Case("multiprocessing", "idle-worker-kill", topology=Topology(1, 1, 1)),
    Case("celery", "worker-term:grace-0.3s", 6.0, **LONG),
    # One ended process breaks the pool: all unfinished tasks fail.
    Case("process-pool", "poison"),
    Case("celery", "worker-oom"),
    # The tasks that wait are in the memory of the server; RDB saves after 60 s at the earliest.
    Case("celery", "broker-kill:none", arrival=BURST, n_held=PREFETCHED),
    Case("celery", "broker-kill:rdb", arrival=BURST, n_held=PREFETCHED),
    # The scheduler forgets the tasks of a client that has ended.
    Case("dask[distributed]", "submitter-kill", arrival=BURST),
    # The visibility timeout ends before the task, which is delivered again.
    Case("celery@safe", "outlive", 120.0),
)
KEEPS = (
    # `task_reject_on_worker_lost` returns the message.
    Case("celery@safe", "child-kill", 20.0, **LONG),
    # All tasks have ended before the hit. Later ones may be lost with any profile: a worker that is
    # killed while it takes a message from Redis has it in its memory only.
    Case("celery", "idle-worker-kill", arrival=Burst(2)),
    Case("celery", "worker-pause:3s"),
    Case("rq", "worker-oom"),
    # The page cache survives SIGKILL.
    Case("celery", "broker-kill:aof-everysec", 20.0, BURST, n_held=PREFETCHED),
    Case("celery", "broker-kill:aof-always", 20.0, BURST, n_held=PREFETCHED),
    Case("celery", "broker-pause:3s"),
)


def run(folder: Path, case: Case, **changes: Any) -> Harmed:
    """Run the trial of a case with one hit, and return the tasks that were harmed."""
    tables = fault_trials.tables_of(
        folder, case.label, faults.parse(case.fault), case.deadline_s, case.arrival, case.topology,
        case.size, **changes,
    )  # fmt: skip
    hit = tables["fault"].iloc[-1]
    assert hit.status == "hit", hit.reason
    outcomes = tables["outcome"]
    # A task of unknown outcome would be a loss if the drain were longer.
    harm = [*HARM, TaskOutcome.UNDECIDED, TaskOutcome.PARTIAL]
    is_harmed = outcomes.outcome.isin(harm)
    harmed = dict(zip(outcomes.task_id[is_harmed], outcomes.outcome[is_harmed], strict=True))
    interrupted = fault_trials.interrupted(tables)
    return Harmed(
        f"{hit.target}, {hit.activity}, {hit.proof}",
        {task_id: outcome for task_id, outcome in harmed.items() if task_id in interrupted},
        {task_id: outcome for task_id, outcome in harmed.items() if task_id not in interrupted},
    )


def loses(case: Case, harmed: Harmed) -> bool:
    """Return whether a fault harms the tasks that it hits, or more others than a worker holds."""
    return bool(harmed.by_hit) or len(harmed.others) > case.n_held


def keeps(case: Case, harmed: Harmed) -> bool:
    """Return whether a fault harms at most the tasks that a worker holds.

    A task that is the fault itself does not count.
    """
    return len(harmed.others) <= case.n_held and (case.kind in KINDS or not harmed.by_hit)
