"""How near a system comes to the reference that bounds it: rates of one block (METHOD M18)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lab.analysis.metrics.registry import CELL, last_attempts
from lab.core.model import Burst
from lab.results.schema import MetricRow

SHARE = "throughput_of_ceiling"
THROUGHPUT = "throughput_per_s"
# What a trial and its ceiling have in common.
SAME = [name for name in CELL if name not in ("label", "rate_hz", "gaps", "schedule")]


def shares(trials: pd.DataFrame, metrics: Sequence[MetricRow]) -> list[MetricRow]:
    """Divide each burst's throughput by that of its ceiling: same block, tasks and topology.

    The geometric mean over trials is then the paired ratio of METHOD M12.

    Args:
        trials: `TrialRow` columns.
        metrics: The other metrics of these trials.

    Returns:
        A row for each attempt that has a ceiling and a throughput; where that of the ceiling is
        missing, the row says what to do.
    """
    told = {(m.trial_id, m.attempt): m for m in metrics if m.metric == THROUGHPUT}
    bursts = trials[trials["arrival"] == Burst.kind]
    counting: Iterable[Any] = last_attempts(bursts).itertuples()
    rates = {_key(t, t.label): told.get((t.trial_id, t.attempt)) for t in counting}
    bounded: Iterable[Any] = bursts[bursts["ceiling"] != ""].itertuples()
    return [
        _share(trial, told[trial.trial_id, trial.attempt], rates)
        for trial in bounded
        if (trial.trial_id, trial.attempt) in told
    ]


def _key(trial: Any, label: str) -> tuple[Any, ...]:
    return (label, trial.block, *(getattr(trial, name) for name in SAME))


def _share(trial: Any, own: MetricRow, rates: dict[tuple[Any, ...], MetricRow | None]) -> MetricRow:
    key, name, value = _key(trial, trial.ceiling), trial.ceiling.removesuffix("@default"), None
    rate = rates.get(key)
    if key not in rates:
        method = f"{name} was not measured beside it: add -b '{name}'"
    elif rate is None or not rate.is_valid or rate.value is None:
        method = f"{name} beside it gave no throughput that can be used"
    elif own.value is None:
        method = own.method
    else:
        value, method = own.value / rate.value, f"throughput / that of {name} in the same block"
    is_valid = int(own.is_valid and value is not None)
    return MetricRow(trial.trial_id, trial.attempt, SHARE, value, "", "1", own.n, method, is_valid)
