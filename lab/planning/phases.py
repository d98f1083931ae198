"""Defines the phases of a trial, and the range of task ids of each."""

from __future__ import annotations

from enum import StrEnum

# All phases share a ledger; each has this many task ids.
MOST_TASKS = 10_000_000


class Phase(StrEnum):
    """A phase of a trial, in order, by its name in the driver's status and in the tables.

    Tasks are offered in the phases of `OFFERING` only; `number` and the ids are for these. The
    phases `UNRECORDED` and `REPEATED` repeat a burst: see `lab.driver.uninstrumented`.
    """

    BOOT = "boot"
    VERIFY = "verify"
    QUIET = "quiet"
    WARM_UP = "warm_up"
    MEASURE = "measure"
    DRAIN = "drain"
    UNRECORDED = "unrecorded"
    REPEATED = "repeated"
    STOP = "stop"

    @property
    def number(self) -> int:
        """The number of the phase in the driver's journal."""
        return OFFERING.index(self)

    @property
    def first_task(self) -> int:
        """The smallest task id of the phase."""
        return self.number * MOST_TASKS

    @property
    def ids(self) -> range:
        """The range of task ids of the phase."""
        return range(self.first_task, self.first_task + MOST_TASKS)


# In the order of their numbers.
OFFERING = (Phase.VERIFY, Phase.WARM_UP, Phase.MEASURE, Phase.UNRECORDED, Phase.REPEATED)
UNINSTRUMENTED = (Phase.UNRECORDED, Phase.REPEATED)
