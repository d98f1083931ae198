"""Defines what a metric is: its name, unit, direction and meaning, its rows and its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lab.analysis.statistics import Value
from lab.core.model import Burst, LoadLevel, Paced, RateProbe, RoundTrip
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow

MetricFunction = Callable[[TrialRow, pd.DataFrame], Value]
"""Computes a value from a trial's row and the rows of a table, or raises `RefusedError`."""

RelativeFunction = Callable[[pd.DataFrame, pd.DataFrame], list[MetricRow]]
"""Computes the rows of a metric from the tables `trial` and `metric` of a run."""

# Open loops whose latency is reported; probes have no latency metrics.
OPEN = (Paced.kind, LoadLevel.kind)
OFFERED = (Burst.kind, *OPEN, RateProbe.kind, RoundTrip.kind)


def always(_trial: TrialRow) -> bool:
    """Return True: every trial of the metric's arrivals has it."""
    return True


def has_services(trial: TrialRow) -> bool:
    """Return whether a trial had servers."""
    return trial.services != ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a trial.

    - `name` ends in the unit, if there is one; `better`: ``"lower"`` or ``"higher"``.
    - `measure` computes the value or raises `RefusedError`, if `arrivals` and `applies` fit.
    - `table`: the rows that `measure` gets: ``"task"`` (one per task), ``"execution"`` (one per
      execution), ``"firing"``, ``"sample"`` (with `n_done`, the tasks finished before),
      ``"burst"`` (one per task, with the markers of an uninstrumented burst), ``"unrecorded"`` (the
      same, but only if there was an uninstrumented burst), ``"outcome"``, ``"service"``
      (`faults.service`).
    - `is_share`: the value is k of n, and an estimate adds k and n over trials.
    """

    name: str
    unit: str
    better: str
    about: str
    measure: MetricFunction
    arrivals: tuple[str, ...] = OFFERED
    applies: Callable[[TrialRow], bool] = always
    table: str = "task"
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class RelativeMetric:
    """A metric of a trial that needs other trials of its run, computed after all others.

    The fields are those of `Metric`; `compute` returns the rows of all trials.
    """

    name: str
    unit: str
    better: str
    about: str
    compute: RelativeFunction
    arrivals: tuple[str, ...]
    table: str = "metric"
    is_share: bool = False
