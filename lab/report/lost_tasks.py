"""Makes the chart of the share of tasks that systems lost under a fault."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lab.analysis.attempts import decisive_attempts
from lab.analysis.colours import colour_of
from lab.analysis.labels import REFERENCE, each, identify
from lab.analysis.queries import of_faults
from lab.analysis.statistics import proportion
from lab.core.faults import FaultKind
from lab.core.model import Periodic
from lab.figures import Tables
from lab.report.first_screen import MARGIN, Dot, Strip
from lab.report.number_format import percent, plural


def lost_tasks(tables: Tables) -> Strip | None:
    """Return the chart for the fault and provider of most systems; None without a fault.

    Args:
        tables: At least `trial`, with the trials of faults.
    """
    trials = of_faults(tables["trial"])
    # A scheduled job has runs in place of tasks.
    has_tasks = trials["arrival"] != Periodic.kind
    trials = decisive_attempts(trials[has_tasks & (trials["fault"] != FaultKind.NONE)])
    if trials.empty:
        return None
    several = len(set(trials["provider"])) > 1
    most: Any = trials.groupby(["fault", "provider"])["label"].nunique().idxmax()
    fault, provider = most
    trials = trials[(trials["fault"] == fault) & (trials["provider"] == provider)]
    dots = [
        _dot(row, trials[trials["label"] == row.label])
        for row in each(identify(tables["trial"]))
        if (trials["label"] == row.label).any()
    ]
    dots.sort(key=lambda dot: dot.value)
    place = f"fault {fault}" + (f" on {provider}" if several else "")
    interval = "The line is the 95 % interval."
    return Strip("faults", "lost under faults", place, "%", interval, dots)


def _dot(row: Any, trials: pd.DataFrame) -> Dot:
    n = int(trials["n_sent"].sum())
    share = proportion(min(int(trials["n_lost"].sum()), n), n)
    low, high = share.low or 0.0, share.high or 1.0
    hits = int(trials["n_hits"].fillna(0).sum())
    details = [
        f"{percent(share.value)} of {n:,} tasks lost",
        f"95 % interval {percent(low)} to {percent(high)}",
        f"n = {plural(len(trials), 'trial')} with {plural(hits, 'hit')}; {share.method}",
        f"trials {' '.join(dict.fromkeys(trials['trial_id']))}",
    ]
    return Dot(
        label=row.label,
        name=row.name,
        colour=colour_of(row.family),
        text=percent(share.value),
        details=details,
        value=share.value,
        interval=(low, high),
        x=_place(share.value),
        low=_place(low),
        high=_place(high),
        is_reference=row.family == REFERENCE,
        is_disturbed=False,
    )


def _place(share: float) -> float:
    """Return the position of a share in percent of a linear axis from 0 to 1."""
    return round(MARGIN + (100 - 2 * MARGIN) * share, 2)
