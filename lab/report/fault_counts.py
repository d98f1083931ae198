"""Counts the tasks and the runs of jobs under a fault by their result."""

from __future__ import annotations

import pandas as pd

from lab.analysis.labels import each
from lab.core.model import Periodic
from lab.core.outcomes import TaskOutcome
from lab.figures import Tables
from lab.report.fault_results import RESULTS, RUNS_DOUBLED, RUNS_MISSED, FaultResult


def runs(sent: pd.DataFrame, tables: Tables) -> tuple[int, list[tuple[FaultResult, int]]]:
    """Return the runs of jobs that were due, and how many of them were missed and doubled."""
    jobs = sent.loc[sent["arrival"] == Periodic.kind, ["trial_id", "attempt"]]
    if jobs.empty:
        return 0, []
    metrics = tables["metric"].merge(jobs, on=["trial_id", "attempt"])
    rows = {name: metrics[metrics["metric"] == name] for name in ("missed", "doubled")}
    missed, doubled = (int(rows[name]["value"].sum()) for name in rows)
    return int(rows["missed"]["n"].sum()), [(RUNS_MISSED, missed), (RUNS_DOUBLED, doubled)]


def refused(sent: pd.DataFrame, tables: Tables) -> int:
    """Return the number of tasks that were sent, not acknowledged and never finished.

    The tasks that a killed submitter did not send any more have the same outcome.
    """
    attempts = each(sent[["trial_id", "attempt"]])
    outcomes = [tables[f"outcome/{trial.trial_id}-{trial.attempt}"] for trial in attempts]
    # In both cases the caller knows that it has no acknowledgement, so neither is a loss.
    open_ends = (TaskOutcome.REFUSED, TaskOutcome.PARTIAL)
    unsent = int((sent["n_planned"] - sent["n_sent"]).sum())
    return sum(int(rows["outcome"].isin(open_ends).sum()) for rows in outcomes) - unsent


def counts(sent: pd.DataFrame) -> list[tuple[FaultResult, int]]:
    """Return how many tasks have each result, the worst first."""
    return [(result, int(sent[result.count].fillna(0).sum())) for result in RESULTS]
