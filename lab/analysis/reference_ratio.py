"""Divides the throughput of a backend by that of its reference in the same block (METHOD M18)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.metrics.metric import RelativeMetric
from lab.core.cell import SITE
from lab.core.model import Burst
from lab.results.schema.metric import MetricRow

SHARE = "throughput_of_reference"
THROUGHPUT = "throughput_per_s"
# Columns in which a trial and its reference are equal.
SAME = [name for name in (*SITE, "n_planned") if name != "label"]


def metrics() -> Iterator[RelativeMetric]:
    """Yield the metric of this module."""
    about = "Throughput of a burst, divided by that of its reference in the same block."
    yield RelativeMetric(SHARE, "1", "higher", about, shares, (Burst.kind,))


def shares(trials: pd.DataFrame, table: pd.DataFrame) -> list[MetricRow]:
    """Divide each burst's throughput by that of its reference: same block, tasks and topology.

    The geometric mean over trials is then the paired ratio of METHOD M12.

    Args:
        trials: `TrialRow` columns.
        table: `MetricRow` columns: the other metrics of these trials.

    Returns:
        One row for each attempt with a reference and a throughput. Without a throughput of the
        reference its value is null, and `method` has the reason.
    """
    values: Iterable[Any] = table[table["metric"] == THROUGHPUT].itertuples()
    throughput = {(m.trial_id, m.attempt): m for m in values}
    bursts = trials[trials["arrival"] == Burst.kind]
    last: Iterable[Any] = last_attempts(bursts).itertuples()
    # The last attempt, because a reference that was disturbed may have been repeated (METHOD M23).
    rates = {_key(t, t.label): throughput.get((t.trial_id, t.attempt)) for t in last}
    bounded: Iterable[Any] = bursts[bursts["reference"] != ""].itertuples()
    return [
        _share(trial, throughput[trial.trial_id, trial.attempt], rates)
        for trial in bounded
        if (trial.trial_id, trial.attempt) in throughput
    ]


def _key(trial: Any, label: str) -> tuple[Any, ...]:
    return (label, trial.block, *(getattr(trial, name) for name in SAME))


def _share(trial: Any, rate: Any, rates: dict[tuple[Any, ...], Any]) -> MetricRow:
    # As the option -b accepts it, because the reason below is a command to copy.
    name = trial.reference.removesuffix("@default")
    key = _key(trial, trial.reference)
    bound = rates.get(key)
    value = None
    # Apart from the next case, because only a missing reference has a remedy (METHOD M18).
    if key not in rates:
        method = f"{name} was not measured in this block: add -b '{name}'"
    elif bound is None or not bound.is_valid or pd.isna(bound.value):
        method = f"{name} has no valid throughput in this block"
    elif pd.isna(rate.value):
        method = str(rate.method)
    else:
        value = float(rate.value / bound.value)
        method = f"throughput / that of {name} in the same block"
    is_valid = int(rate.is_valid and value is not None)
    where = str(trial.trial_id), int(trial.attempt), SHARE
    return MetricRow(*where, value, "", "1", int(rate.n), method, is_valid)
