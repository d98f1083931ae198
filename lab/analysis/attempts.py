"""Selects the attempts at trials that count in the analysis."""

from __future__ import annotations

import pandas as pd

from lab.core.model import Status

# A trial that timed out is used: without it, slow backends would look better than they are.
USABLE = (Status.OK, Status.TIMEOUT)


def last_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt at each trial, the only one that is analysed."""
    return trials.sort_values("attempt", kind="stable").drop_duplicates("trial_id", keep="last")


def decisive_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the attempt at each trial that decides what became of its tasks.

    It is the last usable one; without one, the last that sent tasks and was not interrupted. A
    trial without either has no row.
    """
    complete = _complete(trials)
    # A failed attempt after a usable one must not hide it, so usable attempts are sorted last.
    order = complete.assign(is_usable=complete["status"].isin(USABLE))
    order = order.sort_values(["is_usable", "attempt"], kind="stable")
    last = order.drop_duplicates("trial_id", keep="last").drop(columns="is_usable")
    return last.sort_index()


def replaced_attempts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the attempts with a result that another attempt at the same trial replaces."""
    return _complete(trials).drop(decisive_attempts(trials).index)


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    # An interrupted attempt has no complete drain, so what became of its tasks is unknown.
    return trials[(trials["n_sent"] > 0) & (trials["status"] != Status.INTERRUPTED)]
