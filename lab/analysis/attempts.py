"""Selects the attempts at trials that count in the analysis."""

from __future__ import annotations

import pandas as pd

from lab.core.model import Status

# A trial that timed out is used: without it, slow backends would look better than they are.
USABLE = (Status.OK, Status.TIMEOUT)


def last_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt at each trial, the only one that is analysed."""
    return trials.sort_values("attempt", kind="stable").drop_duplicates("trial_id", keep="last")
