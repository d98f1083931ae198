"""Lists the results that a fault may have, with the word, the symbol and the column of each."""

from __future__ import annotations

from dataclasses import dataclass

from lab.core.outcomes import HARM, TaskOutcome


@dataclass(frozen=True, slots=True)
class FaultResult:
    """A result of a fault.

    Attributes:
        name: Its CSS class.
        symbol: Its sign in a square.
        word: Its word in a square.
        outcome: The outcome of its tasks; None: it is no outcome of a task.
        count: The column of `trial` that counts them.
        listed: The word before the ids of such tasks; empty: `word`.
    """

    name: str
    symbol: str
    word: str
    outcome: TaskOutcome | None = None
    count: str = ""
    listed: str = ""

    @property
    def is_harm(self) -> bool:
        """Return whether a task with this result was harmed."""
        return self.outcome in HARM


UNKNOWN = FaultResult("unknown", "?", "unknown", TaskOutcome.UNDECIDED, "n_unknown")
RECOVERED = FaultResult(
    "recovered",
    "↻",
    "recovered",
    TaskOutcome.RE_EXECUTED,
    "n_re_executed",
    "executed again",
)
# The worst first; a square shows the first that its trials have.
# Harm comes before a recovery, so that a square never hides a loss behind it.
RESULTS = (
    FaultResult("lost", "✖", "lost", TaskOutcome.LOST_SILENT, "n_lost"),
    FaultResult("stuck", "■", "stuck", TaskOutcome.STUCK, "n_stuck"),
    FaultResult("reported", "!", "lost, reported", TaskOutcome.LOST_REPORTED, "n_lost_reported"),
    FaultResult("twice", "2x", "twice", TaskOutcome.DUPLICATED, "n_duplicated", "run twice"),
    FaultResult(
        "failed-though-done",
        "≠",
        "reported failed though done",
        TaskOutcome.FAILED_THOUGH_DONE,
        "n_failed_though_done",
    ),
    FaultResult("raised", "!", "raised", TaskOutcome.FAILED, "n_failed"),
    UNKNOWN,
    RECOVERED,
)
# The results of a scheduled job, which has runs in place of tasks (METHOD M26).
RUNS_MISSED = FaultResult("runs-missed", "◇", "runs missed")
RUNS_DOUBLED = FaultResult("runs-doubled", "◈", "runs doubled")
# Not acknowledged and not done: no loss, because the caller knows.
REFUSED = FaultResult("refused", "⊘", "refused")
OK = FaultResult("ok", "✓", "ok")
MISSED = FaultResult("missed", "○", "not hit")
FAILED = FaultResult("failed", "-", "failed")
SKIPPED = FaultResult("skipped", "-", "skipped")
# All results of a square with a trial, in the order of a legend.
ORDERED = (*RESULTS, RUNS_MISSED, RUNS_DOUBLED, REFUSED, OK, MISSED, FAILED)
UNMEASURED = FaultResult("unmeasured", "·", "not measured")
