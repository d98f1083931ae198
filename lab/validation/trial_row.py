"""Builds the rows of one attempt from its folder and from the supervisor's observations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pandas as pd

from lab.analysis.statistics import inverse_cdf
from lab.core.model import Flag, Paced, Periodic, Retry, TrialSpec
from lab.core.outcomes import Ack, TaskOutcome
from lab.planning.phases import Phase
from lab.recording.driver_status import read_status
from lab.recording.sample import Sample
from lab.results.schema import FaultRow, TrialRow
from lab.results.schema.task import SampleRow
from lab.running.trial import TrialObservation
from lab.validation import checker, disturbance, fault_records, lost_hosts, trial_files
from lab.validation.dimensions import identity
from lab.validation.findings import findings
from lab.validation.node_network import node_network
from lab.validation.reasons import ending

UNFINISHED = (
    TaskOutcome.LOST_SILENT,
    TaskOutcome.LOST_REPORTED,
    TaskOutcome.PARTIAL,
    TaskOutcome.STUCK,
    TaskOutcome.UNDECIDED,
)
ROLES = ("driver_ns", "services_ns", "workers_ns")


@dataclass(frozen=True, slots=True)
class Context:
    """Campaign-level columns of a trial row.

    Attributes:
        campaign_id: Id of the campaign.
        fingerprint_id: Id of the environment.
        position: Position of the trial in the plan.
        calibration_ns: Times of the fixed loop before and after the trial.
        work_ns: Duration of a calibrated task's work (`lab.running.calibrated_work`).
        instrumentation_ns: Instrumentation cost of a task (`lab.driver.instrumentation_cost`).
    """

    campaign_id: str
    fingerprint_id: str
    position: int
    calibration_ns: tuple[int, int] | None
    instrumentation_ns: float | None = None
    work_ns: int | None = None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The row of one attempt, and its tables by name."""

    row: TrialRow
    tables: Mapping[str, Any]


def collect(outcome: TrialObservation, context: Context) -> TrialResult:
    """Read the folder of one attempt and compute its row; values that are not known stay null."""
    spec, folder = outcome.spec, outcome.folder
    status = read_status(folder)
    offers = trial_files.read_offers(spec.id, folder)
    ledger, end_ns = trial_files.read_tasks(spec.id, folder, offers), status.get("t_end_ns")
    tasks = trial_files.truncate_at(ledger, end_ns)
    submits = offers.drop(columns="t5_ns")
    samples = _samples(outcome, status)
    repeats = isinstance(spec.arrival, Periodic)
    expected = trial_files.right_answers(spec)
    # The first execution of a retried task raises on purpose, and the second one returns.
    due = 2 if isinstance(spec.arrival, Retry) else 1
    outcomes = checker.outcomes(tasks, submits, expected, repeats=repeats, due=due)
    if spec.fault is None:
        # In a trial with a fault the redelivery horizons decide instead (METHOD M29).
        outcomes = checker.waiting(outcomes, tasks, submits, end_ns)
    records = trial_files.Records(ledger, tasks, submits, samples, end_ns)
    judged = fault_records.judge(outcome, outcomes, records)
    if status.get("missing"):
        proven = lost_hosts.proven(outcome, status, submits)
        judged = replace(judged, outcomes=checker.without_records(judged.outcomes, proven))
    network = node_network(tasks, [Sample(**read) for read in status.get("samples", [])])
    counted = _counted(spec, submits, tasks, judged.outcomes) | judged.columns
    counted["n_negative"] = checker.negative_durations(tasks, network.bounds_ns)
    # A trial outside a campaign is not judged by the machine.
    is_judged = context.calibration_ns is not None
    disturbed = disturbance.observed(outcome, has_hits=bool(judged.hits)) if is_judged else None
    ended = ending(outcome, status, counted, tasks)
    issues = findings(outcome, status, records, counted, judged.hits)
    issues += [*judged.issues, *network.issues]
    flag, reasons = disturbance.judge_disturbance(disturbed, issues)
    row = {
        **dict.fromkeys(f.name for f in fields(TrialRow)),
        # The nulls come first: whatever a killed trial lacks, its row has every column.
        **identity(outcome, trial_files.unchecked(tasks, expected)),
        **_campaign_columns(context, spec),
        **counted,
        **_driver_columns(status),
        **trial_files.read_first_task(folder, tasks),
        **_used(outcome, disturbed, has_hits=bool(judged.hits)),
        **_speed(context),
        **network.columns,
        **trial_files.read_counters(spec, status),
        "status": ended.status,
        "reason": ended.reason,
        "flag": flag,
        "flag_reasons": "; ".join(reasons),
    }
    tables = {"task": tasks, "submit": submits, "sample": samples, "outcome": judged.outcomes}
    if spec.fault is not None:  # also without a hit, as after a kill of the lab
        names = [field.name for field in fields(FaultRow)]
        # As objects: an instant beside an absent one would become a float, which rounds it.
        tables["fault"] = pd.DataFrame(map(asdict, outcome.hits), columns=names, dtype="object")
    if repeats:
        tables["firing"] = trial_files.read_occurrences(spec, tasks, status)
    return TrialResult(TrialRow(**row), tables)


def unrecorded(outcome: TrialObservation, context: Context) -> TrialRow:
    """Return the row of a trial without records: it was skipped, or the lab failed."""
    row = {
        **dict.fromkeys(f.name for f in fields(TrialRow)),
        # A count may not be null, and nothing was sent.
        **dict.fromkeys((f.name for f in fields(TrialRow) if f.name.startswith("n_")), 0),
        **identity(outcome),
        **_campaign_columns(context, outcome.spec),
        **_driver_columns({}),
        "status": outcome.status,
        "reason": outcome.reason,
        "flag": Flag.OK,
        "flag_reasons": "",
    }
    return TrialRow(**row)


def _campaign_columns(context: Context, spec: TrialSpec) -> dict[str, Any]:
    instrumentation_ns = context.instrumentation_ns
    return {
        "campaign_id": context.campaign_id,
        "fingerprint_id": context.fingerprint_id,
        "position": context.position,
        # The check of an answer is part of a record's cost, and is measured apart (METHOD M19).
        "instrumentation_ns": None
        if instrumentation_ns is None
        else instrumentation_ns + spec.check_ns,
    }


def _driver_columns(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that come from the driver's status."""
    entered = dict(status.get("phases", []))
    # The quiet phase begins when every worker has answered a task correctly.
    booted = entered.get(Phase.QUIET)
    return {
        "plan_hash": status.get("plan_hash", ""),
        "settings": json.dumps(status.get("settings", {}), sort_keys=True, default=str),
        "t_begin_ns": status.get("t_begin_ns"),
        "t_end_ns": status.get("t_end_ns"),
        "start_call_ns": status.get("start_call_ns"),
        "boot_ns": booted - entered[Phase.BOOT] if booted and Phase.BOOT in entered else None,
    }


def _counted(
    spec: TrialSpec, submits: pd.DataFrame, tasks: pd.DataFrame, outcomes: pd.DataFrame
) -> dict[str, Any]:
    # A job that the backend had at its start counts as sent, although there was no call.
    is_sent = submits.t1_ns.notna() | (submits.ack == Ack.OK)
    sent = submits[(submits.phase == Phase.MEASURE) & is_sent]
    window = tasks[tasks.phase == Phase.MEASURE]
    counts = checker.counts(outcomes)
    n_done = int(window[window.t4_ns.notna()].task_id.nunique())
    lag = (sent.t1_ns - sent.t0_ns).dropna().astype("int64")
    is_paced = isinstance(spec.arrival, Paced) and len(lag)
    return {
        "n_sent": len(sent),
        "n_done": n_done,
        "n_censored": sum(counts[outcome] for outcome in UNFINISHED),
        "n_lost": counts[TaskOutcome.LOST_SILENT],
        "n_partial": counts[TaskOutcome.PARTIAL],
        "n_failed": counts[TaskOutcome.FAILED],
        "n_duplicated": counts[TaskOutcome.DUPLICATED],
        "n_wrong_answer": counts[TaskOutcome.WRONG_ANSWER],
        "n_unexpected": counts[TaskOutcome.UNEXPECTED],
        "n_lost_reported": counts[TaskOutcome.LOST_REPORTED],
        "n_stuck": counts[TaskOutcome.STUCK],
        "n_re_executed": counts[TaskOutcome.RE_EXECUTED],
        "n_failed_though_done": counts[TaskOutcome.FAILED_THOUGH_DONE],
        "n_unknown": counts[TaskOutcome.UNDECIDED],
        "worker_processes": trial_files.worker_processes(window),
        "lag_p99_ns": round(inverse_cdf(lag, 99)) if is_paced else None,
        "ceiling_per_s": checker.ceiling_per_s(sent, spec.topology.drivers) if is_paced else None,
    }


def _used(
    outcome: TrialObservation, disturbed: disturbance.Disturbance | None, *, has_hits: bool
) -> dict[str, Any]:
    begin, end = outcome.begin, outcome.end
    if begin is None or end is None:
        return {}
    used: dict[str, Any] = {}
    if not has_hits:  # that of killed processes is unknown
        used = {f"cpu_{role}": getattr(end.cpu, role) - getattr(begin.cpu, role) for role in ROLES}
    if periods := end.cpu.quota_periods - begin.cpu.quota_periods:
        stopped = end.cpu.throttled_periods - begin.cpu.throttled_periods
        used["throttle_ratio"] = stopped / periods
    if disturbed is not None:
        used |= {
            "steal": disturbed.steal,
            "other_cpu": disturbed.other_cpu,
            "cpu_taken": disturbed.cpu_taken,
            "cpu_wait": disturbed.cpu_wait,
            "pressure_cpu": disturbed.pressure_cpu,
        }
    return used


def _speed(context: Context) -> dict[str, Any]:
    if context.calibration_ns is None:
        return {"work_ns": context.work_ns}
    before, after = context.calibration_ns
    drift = abs(after / before - 1)
    return {"work_ns": context.work_ns, "calibration_ns": before, "calibration_drift": drift}


def _samples(outcome: TrialObservation, status: Mapping[str, Any]) -> pd.DataFrame:
    samples = [*outcome.samples, *(Sample(**read) for read in status.get("samples", []))]
    trial_id = outcome.spec.id
    rows = [
        SampleRow(trial_id, s.t_ns, s.source, s.metric, float(s.value), s.unit) for s in samples
    ]
    return pd.DataFrame(
        [tuple(getattr(row, f.name) for f in fields(row)) for row in rows],
        # Named, because a trial without samples has an empty table with these columns.
        columns=[f.name for f in fields(SampleRow)],
    )
