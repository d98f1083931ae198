"""Declares the tables of a run (METHOD M35): one frozen dataclass per table, one field per column.

CSV headers, Parquet schemas and `results/README.md` are derived from these fields. Instants and
durations are integer nanoseconds of CLOCK_MONOTONIC; an empty cell is null.
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

# History of the schema. A reader fills the columns that are newer than a file. It refuses a later
# minor, whose new columns may separate cells that this lab would pool, and every other major.
# 1.0  first tables: campaign, environment, trial, task, submit, sample, verdict, metric, estimate
# 1.1  periodic trials: table occurrence, column schedule
# 1.2  table claim
# 1.3  columns answers and shape
# 1.4  table changepoint
# 1.5  idle trials; the instants of a cold start in every trial
# 1.6  columns ceiling, worker_processes, harness_ns of trial; table baseline
# 1.7  table trend; bursts of different sizes have separate estimates
# 1.8  phases unrecorded and repeated: the uninstrumented burst, of which only some tasks have rows
# 1.9  every column that came after 1.0 declares its version
# 1.10 column pass_env of trial
SCHEMA_VERSION = "1.10"


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign: one plan on one machine with one fingerprint. Key: campaign_id."""

    campaign_id: str = column("name of the run folder")
    schema_version: str = column("version of these tables")
    fingerprint_id: str = column("sha256 (16 digits) over the stable fields of `environment`")
    spec_hash: str = column("sha256 of the plan and of the rules that extend it")
    git_commit: str = column("commit of the lab; empty outside a checkout")
    git_dirty: str = column("1 if tracked files differed from the commit")
    started_utc: str = column("start of the campaign, ISO 8601")
    preset: str = column("quick, standard, publish or claims")
    seed: int = column("random seed of the order, the arrivals and the arguments")
    command: str = column("command line after `lab`")


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One execution of a task, from the ledger. Key: trial_id, task_id, attempt_no."""

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    attempt_no: int = column("1 for the first start of this task, 2 for the second, ...", least=1)
    phase: str = column(
        "verify, warm_up or measure; unrecorded or repeated: the uninstrumented burst, of which "
        "only some tasks have rows (M19); empty: the task was never offered"
    )
    t0_ns: int | None = column("instant at which it was due", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    t3_ns: int | None = column(
        "first statement of the task; empty: not started", "ns", least=0, most=LATEST_NS
    )
    t4_ns: int | None = column(
        "last statement of the task; empty: not finished", "ns", least=0, most=LATEST_NS
    )
    t5_ns: int | None = column(
        "result received by the driver; in a group or a chain, the result of the whole",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    node: int | None = column("number of the node that executed it")
    worker: str = column("process id and thread id of the worker slot, separated by :")
    outcome: str = column("ok, raised, cancelled, unfinished or unstarted")
    answer: int | None = column("checksum of the task's answer")


@dataclass(frozen=True, slots=True)
class SubmitRow:
    """One submit call, from the driver's journal. Key: trial_id, task_id."""

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    phase: str = column("verify, warm_up, measure, unrecorded or repeated")
    t0_ns: int = column("instant at which it was due", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    ack: str = column("result of the submit call: ok, error or unknown")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One reading of a counter outside the backend. Key: trial_id, t_ns, source, metric."""

    trial_id: str = column("identifier of the trial")
    t_ns: int = column("instant of the reading", "ns", most=LATEST_NS)
    source: str = column(
        "host, driver, services, workers, ledger, container:NAME, or the name of a server for its "
        "own statistics, from which the sampler's requests are subtracted"
    )
    metric: str = column("name of the counter")
    value: float = column("value of the counter")
    unit: str = column("unit of the value")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """The outcome of one task of the window. Key: trial_id, task_id."""

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    verdict: str = column("outcome of the task, a class of METHOD M28")
    starts: int = column("number of starts", least=0)
    completions: int = column("number of completions", least=0)


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """One due instant of a job, one row per firing. Key: trial_id, job, k, started_ns."""

    trial_id: str = column("identifier of the trial")
    job: int = column("number of the job; its firings are the rows of `task` with this task_id")
    k: int = column("number of the occurrence in the window, from 0", least=0)
    nominal_ns: int = column("due instant, computed from the job's specification only", "ns")
    started_ns: int | None = column(
        "first statement of the firing; empty: missed", "ns", least=0, most=LATEST_NS
    )
    finished_ns: int | None = column(
        "last statement of the firing; empty: not finished", "ns", least=0, most=LATEST_NS
    )
    error_ns: int | None = column("started_ns - nominal_ns; below zero: early", "ns")
    verdict: str = column("kept, early, missed or doubled (METHOD M26)")
    overlaps: int = column("1 if the job's previous firing was still running", least=0, most=1)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One number of one trial. Key: trial_id, attempt, metric."""

    trial_id: str = column("identifier of the trial")
    attempt: int = column("number of the attempt at the trial", least=1)
    metric: str = column("name of the metric")
    value: float | None = column("value of the metric; empty: refused")
    bound: str = column("> for a lower bound, < for an upper bound, else empty")
    unit: str = column("unit of the value")
    n: int = column(
        "tasks that the value was computed from; readings, for metrics of `sample`",
        "tasks",
        least=0,
    )
    method: str = column("how the value was computed, or why it was refused")
    is_valid: int = column(
        "0 if the trial is invalid or the value was refused, else 1", least=0, most=1
    )


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One published claim about a backend, and the result of its test. Key: backend, claim."""

    backend: str = column("name of the backend")
    claim: str = column("name of the claim; `lab claims --help` explains each")
    words: str = column("text of the published claim")
    seed: str = column("published mark: yes, no or with config")
    here: str = column("measured mark, of the same three; empty: not measured")
    verdict: str = column("holds, holds with: CONDITION, does not hold, or not measured: REASON")
    why: str = column("measured numbers that support the verdict")
    trials: str = column("trial_id of each trial that supports it, separated by spaces")


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
UNKEYED = ("estimate", "trend")  # their key texts name groups of columns
# The CSV files hold the rows of all trials; each Parquet file holds those of one attempt.
CSV_TABLES = (
    *("campaign", "environment", "baseline", "trial"),
    *("metric", "estimate", "trend", "claim"),
)
PARQUET_TABLES = ("task", "submit", "sample", "verdict", "occurrence")
# The file of each table; `lab history` rewrites `changepoint` from all runs.
PLACES: Mapping[str, str] = {
    **{table: f"{table}.csv" for table in CSV_TABLES},
    **{table: f"trials/<trial_id>-<attempt>/{table}.parquet" for table in PARQUET_TABLES},
    "changepoint": "results/history/changepoint.csv",
}
