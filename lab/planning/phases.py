"""Names the phases of a trial, and the task numbers that belong to each."""

from __future__ import annotations

from lab.worker.ledger import NO_RECORD, UNRECORDED

# One ledger holds all phases, and each has room for this many tasks.
MOST_TASKS = 10_000_000
FIRST_TASK = range(0, NO_RECORD, MOST_TASKS)
# By their numbers in `lab.worker.ledger`; in the last two a burst is offered again: see
# `lab.driver.uninstrumented`.
PHASE_NAMES = ("verify", "warm_up", "measure", "unrecorded", "repeated")
AGAIN = PHASE_NAMES[UNRECORDED:]


def ids_of(phase: int) -> range:
    """Return all numbers that tasks of a phase may have."""
    return range(FIRST_TASK[phase], FIRST_TASK[phase] + MOST_TASKS)
