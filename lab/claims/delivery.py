"""Checks promises about delivery against trials in which a process was killed; pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.claims.checks import Observation, TrialRecords
from lab.core.outcomes import Ack, TaskOutcome

NOTHING = "no task was executing when a process was killed"
ALL_ENDED = "every task ended"


def executed_again(trials: Sequence[TrialRecords]) -> Observation:
    """Check that every interrupted task was executed again and ended."""
    (trial,) = trials
    interrupted = _interrupted(trial)
    # A second start is not enough, because the next kill may interrupt that one as well.
    ended = interrupted & set(trial.ended.task_id)
    why = f"{len(ended)} of {len(interrupted)} interrupted tasks ended later"
    return Observation(ended == interrupted, why) if interrupted else Observation(None, NOTHING)


def never_again(trials: Sequence[TrialRecords]) -> Observation:
    """Check that no interrupted task was started again."""
    (trial,) = trials
    interrupted = _interrupted(trial)
    # Starts and not ends: "never again" is broken even if the second execution fails.
    starts = trial.tasks[trial.tasks.task_id.isin(interrupted)].task_id.value_counts()
    again = int((starts > 1).sum())
    why = f"{again} of {len(interrupted)} interrupted tasks started again"
    return Observation(not again, why) if interrupted else Observation(None, NOTHING)


def reported(trials: Sequence[TrialRecords]) -> Observation:
    """Check that every task that never ended is reported as failed.

    The system reports the state of the task, or its submit call has raised.
    """
    missing = _never_ended(trials[0])
    is_reported = (missing.outcome == TaskOutcome.LOST_REPORTED) | (missing.ack == Ack.ERROR)
    return _all(is_reported, "reported as failed")


def stuck(trials: Sequence[TrialRecords]) -> Observation:
    """Check that every task that never ended is reported as running."""
    missing = _never_ended(trials[0])
    return _all(missing.outcome == TaskOutcome.STUCK, "reported as running until the end")


def acknowledged_ended(trials: Sequence[TrialRecords]) -> Observation:
    """Check that every acknowledged task ended."""
    (trial,) = trials
    if not trial.row.n_hits:
        return Observation(None, "no server was killed")
    acknowledged = trial.outcomes[trial.outcomes.ack == Ack.OK]
    missing = acknowledged[~acknowledged.task_id.isin(trial.ended.task_id)]
    why = f"{len(missing)} of {len(acknowledged)} acknowledged tasks never ended"
    # A longer drain may show that a task is not lost.
    if len(missing) and (missing.outcome == TaskOutcome.UNDECIDED).all():
        return Observation(None, f"{why}, after a drain that was too short")
    return Observation(missing.empty, why)


def _never_ended(trial: TrialRecords) -> pd.DataFrame:
    """Return the outcomes of the tasks of which no execution returned.

    Also of those that never started: a pool that breaks ends the tasks that wait for it.
    """
    return trial.outcomes[~trial.outcomes.task_id.isin(trial.ended.task_id)]


def _all(is_so: pd.Series, word: str) -> Observation:
    why = f"{int(is_so.sum())} of {len(is_so)} tasks that never ended were {word}"
    return Observation(bool(is_so.all()), why) if len(is_so) else Observation(None, ALL_ENDED)


def _interrupted(trial: TrialRecords) -> set[int]:
    """Return the tasks with an execution that started and did not end."""
    # The start of a record survives SIGKILL (METHOD M15): a killed execution is unfinished.
    return set(trial.tasks[trial.tasks.outcome == "unfinished"].task_id)
