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
# minor, whose new columns may separate cells that this lab would pool, and every later major.
# Files of major 1 (1.0 to 1.11) are converted by `lab.results.convert_1`.
# 2.0  columns, tables, metrics and kinds of arrival renamed; the columns of a cell in every table
#      about cells, among them environment, fault and arrival_param_name
# 2.1  outcomes, states, hits and promises of trials with a fault, in tables outcome and trial;
#      cpu_taken, cpu_wait, calibration_ns and work_ns of a trial; flag `disturbed`
# 2.2  commands of a trial
# 2.3  host of each node, error of the clocks and network between machines
# 2.4  number of drivers of a cell
SCHEMA_VERSION = "2.4"


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
# The CSV files hold the rows of all trials; each Parquet file holds those of one attempt.
CSV_TABLES = (
    *("campaign", "environment", "baseline", "trial"),
    *("metric", "estimate", "trend", "claim"),
)
PARQUET_TABLES = ("task", "submit", "sample", "outcome", "firing", "fault")
# Their rows of trials with a fault are few, and the matrix of faults needs them.
OF_FAULTS = ("outcome", "fault")
# The file of each table; `lab history` rewrites `changepoint` from all runs.
PLACES: Mapping[str, str] = {
    **{table: f"{table}.csv" for table in CSV_TABLES},
    **{table: f"trials/<trial_id>-<attempt>/{table}.parquet" for table in PARQUET_TABLES},
    "changepoint": "results/history/changepoint.csv",
}
