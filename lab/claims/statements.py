"""States what must be true for a claim to hold; `lab claims --help` lists these statements.

The module imports nothing, because the help would have to wait for pandas and SciPy otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

# Two parallel workers on two cores do twice the work of one, less the broker's use of these cores;
# two workers that alternate do no more than one. An interval that contains 1.25 decides nothing.
GAIN = 1.25
GAINS = f"a second worker on a second core does more than {GAIN} times the CPU work"
# Name of the criterion in `lab.claims.criteria` -> the statement that it tests.
STATEMENTS: Mapping[str, str] = {
    "concurrent": "tasks that wait run at the same time",
    "parallel": GAINS,
    "io-bound": "on average at least half of four worker slots wait at once",
    "cpu-bound": GAINS,
    "shared-memory": "tasks run in the submitter's process",
    "own-memory": "each worker slot has its own process",
    "single-threaded": "all tasks run in one thread",
    "all-workers": "all four worker slots are busy at once",
    "runs": "tasks run with every label that the claim names",
    "distributed": "both of two nodes execute tasks",
    "shared-variable": "the submitter sees changes of a global variable that tasks make",
    "shared-block": "the submitter sees changes of a `multiprocessing.shared_memory` block",
    "shared-store": "the submitter sees changes of a counter in Redis",
    "retry": "tasks that raise are run again",
    "priority": "urgent tasks overtake at least half of the waiting tasks",
    "background": "acknowledged tasks end after their submitter is killed",
    "monitoring": "the backend's monitor answers over HTTP and lists the cluster",
    "scheduling": "a job runs repeatedly; more than half of its occurrences are on time",
    "static-schedule": "the same, for a job that the scheduler reads at its start",
    "dynamic-schedule": "a job added at run time runs, and stops after its removal",
    "kept-then-removed": "a job runs when due until it is removed",
    "redelivered": "tasks that a killed worker was executing are executed again and end",
    "at-most-once": "tasks that a killed worker was executing are not started again",
    "requeued": "tasks that a killed child of a worker was executing are executed again and end",
    "reported": "tasks that never end after the kill of a child are reported as failed",
    "never-reported": "tasks that never end after the kill of a child seem to run",
    "blamed": "a task that kills each worker which executes it is reported as failed",
    "confirmed": "acknowledged tasks end, although their broker is killed and restarted",
    "jobs-kept": "jobs due at full minutes run at full minutes",
    "jobs-overlap": "jobs due at the same instant run at the same time",
    "jobs-parallel": f"two such jobs do more than {GAIN} times the CPU work on two cores",
    "jobs-apart": "each job has its own process",
}
