"""The words for what became of a submit call, of a task, and of a nominal instant."""

from __future__ import annotations

from enum import StrEnum


class Ack(StrEnum):
    """What the submit call said: the sets K and U of METHOD M28."""

    OK = "ok"
    ERROR = "error"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What became of one task, told from the ledger and the intents (METHOD M28)."""

    OK = "ok"
    LOST = "lost"  # acknowledged, never started
    PARTIAL = "partial"  # started, never finished
    FAILED = "failed"  # finished by raising
    DUPLICATED = "duplicated"  # finished more than once
    CORRUPTED = "corrupted"  # finished with a wrong answer
    RECOVERED = "recovered"  # not acknowledged, finished all the same
    REFUSED = "refused"  # not acknowledged, not executed: not a loss
    PHANTOM = "phantom"  # executed, never offered


class Occurrence(StrEnum):
    """What became of one nominal instant of a job, or of a run too many (METHOD M26)."""

    KEPT = "kept"
    EARLY = "early"  # kept, and started before the instant that a cron line names
    MISSED = "missed"  # no run
    DOUBLED = "doubled"  # one more run than was due
