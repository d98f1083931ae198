"""Reads one trial's folder into the tidy tables: ledger + intents + status -> rows.

It works on what a kill left as well as on a finished trial; what is not there stays empty.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lab import checker, noise, registry
from lab.clusters.services import last_line
from lab.driver import ACCEPTED, ERROR, MEASURE, VERIFY, WARM_UP
from lab.kernel import checksum
from lab.model import Ack, Flag, Paced, Status, TrialSpec, Verdict
from lab.placement import cpu_text
from lab.readback import OUTCOMES, executions, intents
from lab.tables import SampleRow, TrialRow
from lab.trial import Outcome

PHASE_NAMES = {VERIFY: "verify", WARM_UP: "warm_up", MEASURE: "measure"}
ACKS = {ACCEPTED: Ack.OK, ERROR: Ack.ERROR}


@dataclass(frozen=True, slots=True)
class Collected:
    """One attempt's row and its tables with a row a task."""

    row: TrialRow
    tables: Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Context:
    """What a row says of its campaign; `calibration_ns` is the fixed loop before and after."""

    campaign_id: str
    fingerprint_id: str
    position: int
    calibration_ns: tuple[int, int]


def collect(outcome: Outcome, context: Context) -> Collected:
    """Read one attempt's folder and judge it."""
    spec, folder = outcome.spec, outcome.folder
    status = _status(folder)
    submits = _submits(spec.id, folder)
    tasks = _tasks(spec.id, folder, submits)
    samples = _samples(outcome, status)
    verdicts = checker.verdicts(tasks, submits, _right_answers(spec))
    window = tasks[tasks.phase == "measure"]
    findings, disturbance = _findings(outcome, context, submits, window, samples, verdicts)
    flag, reasons = noise.judge(disturbance, findings)
    return Collected(
        row=TrialRow(
            **_identity(spec, outcome, context),
            **_placed(outcome),
            **_said(status, outcome),
            **_counted(spec, submits, window, verdicts),
            **_used(outcome),
            **_disturbed(disturbance, spec, submits),
            **_verdict(outcome, status, folder),
            flag=flag,
            flag_reasons="; ".join(reasons),
        ),
        tables={"task": tasks, "submit": submits, "sample": samples, "verdict": verdicts},
    )


def _status(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return dict(json.loads((folder / "status.json").read_text()))
    return {}


def _submits(trial_id: str, folder: Path) -> pd.DataFrame:
    path = folder / "intents.bin"
    rows = list(intents(path)[1]) if path.exists() else []
    frame = pd.DataFrame(rows, columns=["task_id", "phase", "t0_ns", "t1_ns", "t2_ns", "t5_ns", "acknowledged", "count"], dtype="int64")
    return pd.DataFrame(
        {
            "trial_id": trial_id,
            "task_id": frame.task_id,
            "phase": frame.phase.map(PHASE_NAMES),
            "t0_ns": frame.t0_ns,
            "t1_ns": _instants(frame.t1_ns),
            "t2_ns": _instants(frame.t2_ns),
            "ack": frame.acknowledged.map(ACKS).fillna(Ack.UNKNOWN).astype("str"),
            "t5_ns": _instants(frame.t5_ns),
        }
    )


def _instants(words: pd.Series[int]) -> pd.Series[Any]:
    """Turn the ledger's zero, which means not yet, into null."""
    return words.astype("Int64").mask(words == 0)


def _tasks(trial_id: str, folder: Path, submits: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (r.task_id, r.started_ns, r.finished_ns, h.node, f"{h.pid}:{r.thread}",
         OUTCOMES[r.outcome], r.answer)
        for path in sorted((folder / "ledger").glob("*.bin"))
        for h, records in [executions(path)]
        for r in records
    ]
    names = ["task_id", "t3_ns", "t4_ns", "node", "worker", "outcome", "answer"]
    done = pd.DataFrame(rows, columns=names).astype(
        {"task_id": "int64", "t3_ns": "int64", "t4_ns": "int64", "node": "Int64",
         "worker": "str", "outcome": "str", "answer": "Int64"}
    )
    done["t3_ns"], done["t4_ns"] = _instants(done.t3_ns), _instants(done.t4_ns)
    done = done.sort_values(["task_id", "t3_ns"], ignore_index=True)
    done["attempt_no"] = done.groupby("task_id").cumcount() + 1
    offered = submits.drop(columns=["trial_id", "ack"])
    tasks = offered.merge(done, on="task_id", how="outer")
    tasks["attempt_no"] = tasks.attempt_no.fillna(1).astype("int64")
    tasks["outcome"] = tasks.outcome.fillna("unstarted")
    tasks["phase"] = tasks.phase.fillna("")
    tasks["worker"] = tasks.worker.fillna("")
    tasks["answer"] = tasks.answer.where(tasks.outcome == "ok")
    tasks.insert(0, "trial_id", trial_id)
    return tasks


def _right_answers(spec: TrialSpec) -> dict[int, int]:
    from lab.driver import FIRST_TASK

    backend = registry.select(spec.label).backend
    _, module = registry.workload(spec.workload)
    first = FIRST_TASK[MEASURE]
    ids = range(first, first + spec.arrival.n_tasks)
    if not backend.executes:
        return dict.fromkeys(ids, 0)
    return {i: checksum(module.answer(module.argument(spec.size, spec.seed + i))) for i in ids}


def _samples(outcome: Outcome, status: Mapping[str, Any]) -> list[SampleRow]:
    trial_id = outcome.spec.id
    rows = [
        SampleRow(trial_id, s.t_ns, s.source, s.metric, s.value, s.unit) for s in outcome.samples
    ]
    rows += [
        SampleRow(trial_id, t_ns, "ledger", "in_system", float(n), "tasks")
        for t_ns, n in status.get("in_system", [])
    ]
    return rows


def skipped(spec: TrialSpec, reason: str, context: Context) -> TrialRow:
    """Make the row of a configuration that its backend cannot take."""
    outcome = Outcome(
        spec=spec,
        attempt=1,
        folder=Path(),
        placement=place(spec),
        hash_seed=0,
        started_utc="",
        status=Status.SKIPPED,
        reason=reason,
    )
    nothing = dict.fromkeys(
        (f.name for f in fields(TrialRow) if f.default is MISSING), None
    )
    return TrialRow(
        **{
            **nothing,
            **_identity(outcome, context),
            **_placed(outcome),
            **dict.fromkeys(COUNTS, 0),
            "plan_hash": "",
            "settings": "{}",
            "status": outcome.status,
            "reason": reason,
            "flag": Flag.OK,
            "flag_reasons": "",
        }
    )


def _identity(outcome: Outcome, context: Context) -> dict[str, Any]:
    spec = outcome.spec
    backend = registry.select(spec.label).backend
    workload, _ = registry.workload(spec.workload)
    paced = spec.arrival if isinstance(spec.arrival, Paced) else None
    return {
        "trial_id": spec.id,
        "attempt": outcome.attempt,
        "campaign_id": context.campaign_id,
        "fingerprint_id": context.fingerprint_id,
        "block": spec.block,
        "position": context.position,
        "label": spec.label,
        "backend": spec.backend,
        "family": backend.family,
        "variant": spec.variant,
        "profile": spec.profile,
        "workload": spec.workload,
        "size": spec.size,
        "size_unit": workload.unit,
        "nominal_ns": spec.nominal_ns,
        "arrival": spec.arrival.kind,
        "rate_hz": paced and paced.rate_hz,
        "gaps": paced.gaps if paced else "",
        "seed": spec.seed,
        "started_utc": outcome.started_utc,
        "trial_ns": outcome.trial_ns,
        "services": outcome.services,
        "hash_seed": outcome.hash_seed,
    }


def _placed(outcome: Outcome) -> dict[str, Any]:
    topology, place_ = outcome.spec.topology, outcome.placement
    return {
        "provider": outcome.spec.provider,
        "nodes": topology.nodes,
        "cores_per_node": topology.cores_per_node,
        "workers_per_node": topology.workers_per_node,
        "workers": topology.workers,
        "node_mode": place_.mode,
        "placement": "dedicated" if place_.dedicated else "shared",
        "driver_cpus": cpu_text(place_.driver),
        "service_cpus": cpu_text(place_.services),
        "node_cpus": "|".join(map(cpu_text, place_.nodes)),
    }
