"""Selects the numbers of trials that can be compared, and says why the others cannot."""

from __future__ import annotations

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.core.cell import CELL
from lab.core.model import COUNTED_FLAGS, Flag

BASE_COLUMNS = [*CELL, "block", "plan_hash", "started_utc", "campaign_id"]
TRIAL_COLUMNS = ["trial_id", "attempt", "nominal_ns", "flag", *BASE_COLUMNS]


def numbers_of(trials: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Return `Side.numbers` of the tables `trial` and `metric` of one run."""
    return values(measured(trials, numbers))


def measured(trials: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of all trials, with the reason why a number cannot be compared."""
    table = numbers.merge(last_attempts(trials)[TRIAL_COLUMNS], on=["trial_id", "attempt"])
    # A lower bound is not a value: the true value may be anything above it.
    is_exact, is_valid = (table.bound == ""), (table.is_valid == 1)
    why = pd.Series("", table.index).where(is_exact.fillna(value=False), "only a bound is known")
    method = table.method.fillna("").str.rstrip(".")
    why = why.where(is_valid.fillna(value=False), method.where(method != "", "refused"))
    # No comparison uses the numbers of disturbed and invalid trials (METHOD M23).
    is_counted = table.flag.isin(COUNTED_FLAGS)
    return table.assign(why=why.where(is_counted, "the trials were " + table.flag.fillna("")))


def values(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return `Side.numbers` of what `measured` returned: the rows without a reason."""
    table = metrics[metrics["why"] == ""]
    # Each run calibrates again, so equal cells have different sizes; the duration is equal. Of a
    # user's function it is measured in each run, and its size is 0.
    is_sized = (table.nominal_ns > 0) & (table["size"] > 0)
    requested = table["size"].mask(is_sized, table.nominal_ns // 1_000)
    wanted = [*BASE_COLUMNS, "trial_id", "metric", "value", "unit"]
    return table.assign(size=requested)[wanted].rename(columns={"campaign_id": "run"})


def disturbed(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return `Side.disturbed` of what `measured` returned: the numbers of disturbed trials."""
    # A refused metric has no value, and no value of a disturbed trial is valid (METHOD M23).
    is_number = metrics["value"].notna() & (metrics["bound"] == "").fillna(value=False)
    chosen = metrics[(metrics["flag"] == Flag.DISTURBED) & is_number]
    return values(chosen.assign(why=""))
