"""Reads the tables of a campaign that continues, for decisions about its next trials."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from lab.analysis import compute
from lab.core.model import Status
from lab.results.schema.metric import MetricRow
from lab.results.store import Store


class InterimTables:
    """The trials so far and their metrics; those of each attempt are computed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._metrics: dict[tuple[str, str], list[MetricRow]] = {}

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the tables `trial` and `metric`; the latter has no columns without a trial."""
        trials = self._store.read("trial")
        for values in trials[trials.status != Status.SKIPPED].itertuples(index=False):
            key = (str(values.trial_id), str(values.attempt))
            if key not in self._metrics:
                self._metrics[key] = compute.metrics_of_trial(self._store, values)
        rows = [asdict(row) for rows in self._metrics.values() for row in rows]
        return trials, pd.DataFrame(rows)
