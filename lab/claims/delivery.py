"""Checks promises about delivery against trials in which a worker was killed; pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from lab.claims.checks import Observation, TrialRecords

NOTHING = "no task was executing when a worker was killed"


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


def _interrupted(trial: TrialRecords) -> set[int]:
    """Return the tasks with an execution that started and did not end."""
    # The start of a record survives SIGKILL (METHOD M15): a killed execution is unfinished.
    return set(trial.tasks[trial.tasks.outcome == "unfinished"].task_id)
