"""What a trial's samples say of one counter, and in whose processes its workers live."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Burst, Idle, Paced, RoundTrip
from lab.results.schema import TrialRow

Measure = Callable[[TrialRow, pd.DataFrame], Value]
"""From a trial's row and its samples, with `n_done` tasks finished by then, to a value."""

OFFERED = (Burst.kind, Paced.kind, RoundTrip.kind)
ALL = (*OFFERED, Idle.kind)


class Number(NamedTuple):
    """One number, and of which arrivals it is asked.

    `of` limits it to trials that have ``"services"``, or whose workers are in ``"containers"``.
    """

    name: str
    unit: str
    about: str
    measure: Measure
    arrivals: tuple[str, ...] = ALL
    of: str = ""


def host_of_workers(samples: pd.DataFrame) -> tuple[str, str]:
    """Tell in which role's processes the workers are, and in words whose they are.

    Raises:
        RefusedError: Nobody counted processes, for they are on another machine.
    """
    counts = samples[samples["metric"] == "processes"]
    if counts.empty:
        raise RefusedError("The workers' processes cannot be seen from this machine.")
    if (counts.loc[counts["source"] == "workers", "value"] > 0).any():
        return "workers", "of the workers' processes"
    return "driver", "of the driver's process, in which the workers live"


def readings(trial: TrialRow, samples: pd.DataFrame, source: str, metric: str) -> pd.DataFrame:
    """Return the readings of one counter in their order.

    Raises:
        RefusedError: There is none, or the trial had no whole window.
    """
    own = samples[(samples["source"] == source) & (samples["metric"] == metric)]
    return known(trial, own.sort_values("t_ns", kind="stable"), f"{metric} of {source}")


def known(trial: TrialRow, found: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return what was found, if that is anything and the trial had a whole window.

    Raises:
        RefusedError: It is not, or had none.
    """
    if pd.isna(trial.t_begin_ns) or pd.isna(trial.t_end_ns):
        raise RefusedError("The window did not come to its end.")
    if found.empty:
        raise RefusedError(f"Nothing here tells {what}.")
    return found


def in_window(trial: TrialRow, found: pd.DataFrame) -> pd.DataFrame:
    """Keep the readings between the window's begin and its end."""
    return found[found["t_ns"].between(trial.t_begin_ns or 0, trial.t_end_ns or 0)]
