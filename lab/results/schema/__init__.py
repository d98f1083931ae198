"""Declares the tables of a run (METHOD M35): one frozen dataclass per table, one field per column.

CSV headers, Parquet schemas and `results/README.md` are derived from these fields. Instants and
durations are integer nanoseconds of CLOCK_MONOTONIC; an empty cell is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.results.schema.campaign import CampaignRow
from lab.results.schema.changepoint import ChangepointRow
from lab.results.schema.estimate import EstimateRow as EstimateRow
from lab.results.schema.fault import FaultRow as FaultRow
from lab.results.schema.machine import BaselineRow, EnvironmentRow
from lab.results.schema.metric import ClaimRow, MetricRow
from lab.results.schema.sweep import TrendRow
from lab.results.schema.task import FiringRow, OutcomeRow, SampleRow, SubmitRow, TaskRow
from lab.results.schema.trial import TrialRow as TrialRow

# History of the schema. A reader fills the columns that are newer than a file. It refuses a later
# minor, whose new columns may separate cells that this lab would pool, and every other major.
# 1.0  first tables: campaign, environment, trial, task, submit, sample, verdict, metric, estimate
# 1.1  periodic trials: table occurrence, column schedule
# 1.2  table claim
# 1.3  columns answers and shape
# 1.4  table changepoint
# 1.5  idle trials; the instants of a cold start in every trial
# 1.6  columns ceiling, worker_processes, instrumentation_ns of trial; table baseline
# 1.7  table trend; bursts of different sizes have separate estimates
# 1.8  phases unrecorded and repeated: the uninstrumented burst, of which only some tasks have rows
# 1.9  every column that came after 1.0 declares its version
# 1.10 column pass_env of trial
# 1.11 table fault
SCHEMA_VERSION = "1.11"


TABLES: dict[str, type[Any]] = {
    "campaign": CampaignRow,
    "environment": EnvironmentRow,
    "baseline": BaselineRow,
    "trial": TrialRow,
    "task": TaskRow,
    "submit": SubmitRow,
    "sample": SampleRow,
    "outcome": OutcomeRow,
    "firing": FiringRow,
    "fault": FaultRow,
    "metric": MetricRow,
    "estimate": EstimateRow,
    "trend": TrendRow,
    "claim": ClaimRow,
    "changepoint": ChangepointRow,
}
UNKEYED = ("estimate", "trend")  # their key texts name groups of columns
# The CSV files hold the rows of all trials; each Parquet file holds those of one attempt.
CSV_TABLES = (
    *("campaign", "environment", "baseline", "trial"),
    *("metric", "estimate", "trend", "claim"),
)
PARQUET_TABLES = ("task", "submit", "sample", "outcome", "firing", "fault")
# The file of each table; `lab history` rewrites `changepoint` from all runs.
PLACES: Mapping[str, str] = {
    **{table: f"{table}.csv" for table in CSV_TABLES},
    **{table: f"trials/<trial_id>-<attempt>/{table}.parquet" for table in PARQUET_TABLES},
    "changepoint": "results/history/changepoint.csv",
}
