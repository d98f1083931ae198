"""The tidy tables (METHOD M35): one frozen dataclass a table, one field a column.

CSV headers, Parquet schemas and `results/README.md` are made from these fields and never typed
twice. Instants and durations are integer nanoseconds of CLOCK_MONOTONIC; an empty cell is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.results.schema.changepoint import ChangepointRow
from lab.results.schema.column import LATEST_NS, column
from lab.results.schema.estimate import EstimateRow as EstimateRow
from lab.results.schema.machine import BaselineRow, EnvironmentRow
from lab.results.schema.sweep import TrendRow
from lab.results.schema.trial import TrialRow as TrialRow

# History of the schema. A reader fills the columns that are newer than a file, and refuses a later
# minor (its new columns may tell cells apart that this lab would pool) and every other major.
# 1.0  first tables: campaign, environment, trial, task, submit, sample, verdict, metric, estimate
# 1.1  periodic trials: table occurrence, column schedule
# 1.2  table claim
# 1.3  columns answers and shape
# 1.4  table changepoint
# 1.5  idle trials; of every trial the instants of a cold start
# 1.6  columns ceiling, worker_processes, harness_ns of trial; table baseline
# 1.7  table trend; estimates of bursts of another size are other estimates
# 1.8  phases unrecorded and repeated: a burst again, of which only some tasks have rows
# 1.9  every column that came after 1.0 says since when
# 1.10 column pass_env of trial
SCHEMA_VERSION = "1.10"


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign: one machine, one fingerprint, one plan. Key: campaign_id."""

    campaign_id: str = column("name of the run folder")
    schema_version: str = column("version of these tables")
    fingerprint_id: str = column("sha256 (16 digits) over the stable fields of `environment`")
    spec_hash: str = column("sha256 of the plan, and of the rules by which it grows")
    git_commit: str = column("commit of the lab; empty outside a checkout")
    git_dirty: str = column("1 when tracked files differed from the commit")
    started_utc: str = column("start, ISO 8601")
    preset: str = column("quick, standard, publish, or claims")
    seed: int = column("seed of order, arrivals and arguments")
    command: str = column("the command line after `lab`")


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One execution of one task, from the ledger. Key: trial_id, task_id, attempt_no."""

    trial_id: str = column("which trial")
    task_id: int = column("which task")
    attempt_no: int = column("1 for the first start of this task, 2 for the second, ...", least=1)
    phase: str = column(
        "verify, warm_up, measure, or unrecorded and repeated: its burst again, of which only some "
        "tasks have rows (M19); empty for a task never offered"
    )
    t0_ns: int | None = column("intended instant", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    t3_ns: int | None = column(
        "first statement of the task; empty: never started", "ns", least=0, most=LATEST_NS
    )
    t4_ns: int | None = column(
        "last statement of the task; empty: never finished", "ns", least=0, most=LATEST_NS
    )
    t5_ns: int | None = column(
        "result seen by the submitter; of a group or a chain, that all of it has ended",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    node: int | None = column("node that executed it")
    worker: str = column("process id : thread id of the worker slot")
    outcome: str = column("ok, raised, cancelled, unfinished or unstarted")
    answer: int | None = column("checksum of the answer")


@dataclass(frozen=True, slots=True)
class SubmitRow:
    """One submit call, from the driver's journal. Key: trial_id, task_id."""

    trial_id: str = column("which trial")
    task_id: int = column("which task")
    phase: str = column("verify, warm_up, measure, unrecorded or repeated")
    t0_ns: int = column("intended instant", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    ack: str = column("ok, error or unknown")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One reading of one counter, taken outside the system. Key: trial_id, t_ns, source, metric."""

    trial_id: str = column("which trial")
    t_ns: int = column("when", "ns", most=LATEST_NS)
    source: str = column(
        "host, driver, services, workers, ledger, container:NAME, or the name of a server for what "
        "it counts itself, without what our asking adds"
    )
    metric: str = column("what was read")
    value: float = column("the reading")
    unit: str = column("its unit")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What became of one task of the window. Key: trial_id, task_id."""

    trial_id: str = column("which trial")
    task_id: int = column("which task")
    verdict: str = column("class of METHOD M28")
    starts: int = column("times started", least=0)
    completions: int = column("times finished", least=0)


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """One nominal instant of a job, and each of its runs. Key: trial_id, job, k, started_ns."""

    trial_id: str = column("which trial")
    job: int = column("which job; its runs are the rows of `task` with this task_id")
    k: int = column("which occurrence of the window, from 0", least=0)
    nominal_ns: int = column("when it was due, by the specification alone", "ns")
    started_ns: int | None = column(
        "first statement of the run; empty: missed", "ns", least=0, most=LATEST_NS
    )
    finished_ns: int | None = column(
        "last statement of the run; empty: not finished", "ns", least=0, most=LATEST_NS
    )
    error_ns: int | None = column("started - nominal; below zero: early", "ns")
    verdict: str = column("kept, early, missed or doubled (METHOD M26)")
    overlaps: int = column("1 when the run before of this job still ran", least=0, most=1)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One number of one trial. Key: trial_id, attempt, metric."""

    trial_id: str = column("which trial")
    attempt: int = column("which attempt at it", least=1)
    metric: str = column("name of the number")
    value: float | None = column("the number; empty when it cannot be told")
    bound: str = column("> when the value is a lower bound, < when an upper one, else empty")
    unit: str = column("its unit")
    n: int = column("tasks it was computed from", "tasks", least=0)
    method: str = column("how, or why it cannot be told")
    is_valid: int = column(
        "1 unless the trial is invalid or the number was refused", least=0, most=1
    )


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One thing that the seed says of a system, and what was found. Key: backend, claim."""

    backend: str = column("system under test")
    claim: str = column("what is asked of it; `lab claims --help` explains each")
    words: str = column("what the seed says")
    seed: str = column("the seed's mark: yes, no or with config")
    here: str = column("what was found, by the same marks; empty: not measured")
    verdict: str = column("holds, holds with: CONDITION, does not hold, or not measured: REASON")
    why: str = column("the figures behind it")
    trials: str = column("trials that show it, separated by spaces")


TABLES: dict[str, type[Any]] = {
    "campaign": CampaignRow,
    "environment": EnvironmentRow,
    "baseline": BaselineRow,
    "trial": TrialRow,
    "task": TaskRow,
    "submit": SubmitRow,
    "sample": SampleRow,
    "verdict": VerdictRow,
    "occurrence": OccurrenceRow,
    "metric": MetricRow,
    "estimate": EstimateRow,
    "trend": TrendRow,
    "claim": ClaimRow,
    "changepoint": ChangepointRow,
}
UNKEYED = ("estimate", "trend")  # their keys name groups of columns
# One file for the campaign, appended to; the others are one Parquet file a trial.
CSV_TABLES = (
    *("campaign", "environment", "baseline", "trial"),
    *("metric", "estimate", "trend", "claim"),
)
PARQUET_TABLES = ("task", "submit", "sample", "verdict", "occurrence")
# Where each table lies; `changepoint` is of all runs together, made anew by `lab history`.
PLACES: Mapping[str, str] = {
    **{table: f"{table}.csv" for table in CSV_TABLES},
    **{table: f"trials/<trial_id>-<attempt>/{table}.parquet" for table in PARQUET_TABLES},
    "changepoint": "results/history/changepoint.csv",
}
