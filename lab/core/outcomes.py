"""Defines the outcomes and states of a submit call, of a task, and of an occurrence of a job."""

from __future__ import annotations

from enum import StrEnum


class Ack(StrEnum):
    """Result of a submit call (METHOD M28, sets K and U); unknown if it did not return."""

    OK = "ok"
    ERROR = "error"
    UNKNOWN = "unknown"


class AckMeans(StrEnum):
    """Place of a task when its submit call returns without an error."""

    IN_MEMORY = "in-memory"  # in the memory of the submitter
    SOCKET = "socket"  # written to a socket or a pipe; nothing has replied
    ACCEPTED = "accepted"  # in the memory or in the page cache of a server, which has replied
    CONFIRMED = "confirmed"  # the server has confirmed that it is responsible for the message
    ON_DISK = "on-disk"  # the reply follows an fsync


class Contract(StrEnum):
    """Promise of a system about a task that it has accepted.

    A weaker promise costs less time, so numbers of different contracts are no ranking.
    """

    POOL = "pool"  # the task ends with the process that submitted it
    AT_MOST_ONCE = "at-most-once job queue"  # not run again if its worker dies
    AT_LEAST_ONCE = "at-least-once job queue"  # run again if its worker dies
    SCHEDULER = "scheduler"  # it is run when it is due


class TaskState(StrEnum):
    """State of a task that the system under test reports after a fault (METHOD M29)."""

    QUEUED = "queued"  # waits for a worker, a retry or a redelivery
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    MISSING = "missing"  # the system has no record of it
    UNKNOWN = "unknown"  # the system reports no states, or did not answer


class TaskOutcome(StrEnum):
    """Outcome of one task, from the ledger and the journal (METHOD M28)."""

    OK = "ok"
    LOST_SILENT = "lost-silent"  # acknowledged, never started; M29: nor reported
    PARTIAL = "partial"  # started, never finished
    FAILED = "failed"  # raised an exception
    DUPLICATED = "duplicated"  # finished more than once
    WRONG_ANSWER = "wrong-answer"  # finished with a wrong answer
    RECOVERED = "recovered"  # not acknowledged, but finished
    REFUSED = "refused"  # not acknowledged, not executed: not a loss
    UNEXPECTED = "unexpected"  # executed, never offered
    # In a trial with a fault only (M29), which divides the tasks that did not finish:
    LOST_REPORTED = "lost-reported"  # never finished; the system reports a failure
    STUCK = "stuck"  # never finished; the system reports that it runs
    RE_EXECUTED = "re-executed"  # started more than once, finished once
    FAILED_THOUGH_DONE = "failed-though-done"  # finished; the system reports a failure
    UNDECIDED = "unknown"  # not finished, and the drain ended before it could be delivered again


HARM = (
    TaskOutcome.LOST_SILENT,
    TaskOutcome.STUCK,
    TaskOutcome.LOST_REPORTED,
    TaskOutcome.DUPLICATED,
    TaskOutcome.FAILED_THOUGH_DONE,
    TaskOutcome.FAILED,
)
"""The outcomes after which a fault is not survived, the worst first (METHOD M27)."""


class FiringOutcome(StrEnum):
    """Outcome of one occurrence of a job, or of a surplus firing (METHOD M26)."""

    FIRED = "fired"  # had its firing
    EARLY = "early"  # had its firing, which started before the instant of the cron line
    MISSED = "missed"  # had no firing
    DOUBLED = "doubled"  # a surplus firing
