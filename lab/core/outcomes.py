"""Defines the outcomes of a submit call, of a task, and of an occurrence of a job."""

from __future__ import annotations

from enum import StrEnum


class Ack(StrEnum):
    """Result of a submit call (METHOD M28, sets K and U); unknown if it did not return."""

    OK = "ok"
    ERROR = "error"
    UNKNOWN = "unknown"


class TaskOutcome(StrEnum):
    """Outcome of one task, from the ledger and the journal (METHOD M28)."""

    OK = "ok"
    LOST = "lost"  # acknowledged, never started
    PARTIAL = "partial"  # started, never finished
    FAILED = "failed"  # raised an exception
    DUPLICATED = "duplicated"  # finished more than once
    CORRUPTED = "corrupted"  # finished with a wrong answer
    RECOVERED = "recovered"  # not acknowledged, but finished
    REFUSED = "refused"  # not acknowledged, not executed: not a loss
    PHANTOM = "phantom"  # executed, never offered


class FiringOutcome(StrEnum):
    """Outcome of one occurrence of a job, or of a surplus firing (METHOD M26)."""

    KEPT = "kept"  # had its firing; the stored value (wording: allow)
    EARLY = "early"  # had its firing, which started before the instant of the cron line
    MISSED = "missed"  # had no firing
    DOUBLED = "doubled"  # a surplus firing
