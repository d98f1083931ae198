"""Words how many trials no comparison uses, why, and what to do (METHOD M23)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lab.analysis.attempts import USABLE
from lab.analysis.sweeps.grouping import noun_of
from lab.core.model import COUNTED_FLAGS, Flag, Status

# State of a trial -> its verb for one trial, and for several.
VERBS: Mapping[str, tuple[str, str]] = {
    Flag.DISTURBED: ("was disturbed", "were disturbed"),
    Flag.INVALID: ("was invalid", "were invalid"),
    Status.FAILED: ("failed", "failed"),
    Status.INTERRUPTED: ("was interrupted", "were interrupted"),
    Status.SKIPPED: ("was skipped", "were skipped"),
}


def states_of(trials: pd.DataFrame) -> pd.Series[str]:
    """Return the flag of each trial, or its status if it has no numbers; the labels are the index.

    Args:
        trials: The columns label, status and flag, one row for each trial.
    """
    states = trials["flag"].where(trials["status"].isin(USABLE), trials["status"])
    return states.set_axis(trials["label"])


def left_out(states: pd.Series[str]) -> str:
    """Return how many trials no comparison uses, by reason; empty if there is none.

    For example: 3 of 4 trials were disturbed, 1 failed.
    """
    counts = states[~states.isin(COUNTED_FLAGS)].value_counts()
    parts = [f"{count} {VERBS[str(state)][count > 1]}" for state, count in counts.items()]
    total = f" of {len(states)} {noun_of('trials', len(states))} "
    # The first part names the total, which is that of all parts.
    return ", ".join(parts).replace(" ", total, 1)


def next_step(states: pd.Series[str], again: str) -> str:
    """Return what to do about a run without numbers to compare; empty if nothing disturbed it.

    `again` is the command that repeats its plan.
    """
    if Flag.DISTURBED not in set(states):
        return ""
    return (
        "Numbers of disturbed trials are shown and never compared. Stop the programs that use the "
        f"CPUs (lab doctor lists them), and repeat the plan: {again}"
    )
