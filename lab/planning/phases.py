"""Defines the phases of a trial, and the range of task ids of each."""

from __future__ import annotations

from lab.worker.ledger import NO_RECORD, UNRECORDED

# All phases share a ledger; each has this many task ids.
MOST_TASKS = 10_000_000
FIRST_TASK = range(0, NO_RECORD, MOST_TASKS)
# In the order of their numbers in `lab.worker.ledger`. The last two repeat a burst: see
# `lab.driver.uninstrumented`.
PHASE_NAMES = ("verify", "warm_up", "measure", "unrecorded", "repeated")
AGAIN = PHASE_NAMES[UNRECORDED:]


def ids_of(phase: int) -> range:
    """Return the range of task ids of a phase."""
    return range(FIRST_TASK[phase], FIRST_TASK[phase] + MOST_TASKS)
