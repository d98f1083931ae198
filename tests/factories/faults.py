"""Adds trials with faults to a synthetic campaign: each fault has a fate for each backend.

A window offers `N_TASKS` tasks in `WINDOW_S` seconds. A hit stops the service for `AWAY_S` seconds;
the tasks that were executing are lost, stuck, repeated or executed again, as the fate says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lab.core.outcomes import TaskOutcome
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from tests.factories.campaigns import typed
from tests.factories.schedules import added

SECOND, MS = 1_000_000_000, 1_000_000
BEGIN_NS, WINDOW_S, N_TASKS, AWAY_S = 5 * SECOND, 20.0, 214, 1.2
EXECUTING = 2  # tasks that a hit interrupts
WITHOUT_PARTS = "The backend has no broker: broker-kill has no target."


@dataclass(frozen=True)
class Fate:
    """The outcome of the tasks that a hit interrupts, or the reason why there is none."""

    outcome: str = "ok"
    delay_s: float = 0.0
    misses: bool = False
    skip: str = ""
    failure: str = ""


OK, LOST, STUCK = Fate(), Fate(TaskOutcome.LOST_SILENT), Fate("stuck")
REPORTED, TWICE, UNKNOWN = Fate("lost-reported"), Fate("duplicated"), Fate("unknown")
RECOVERED = Fate("re-executed", 61.0)
MISSED, SKIPPED = Fate(misses=True), Fate(skip=WITHOUT_PARTS)
BROKEN = Fate(failure="The broker did not answer within 10 s after its restart.")
Fates = Mapping[tuple[str, str], Fate]
FATES: Fates = {
    ("rq", "none"): OK,
    ("rq", "worker-kill"): LOST,
    ("rq", "broker-kill:aof-always"): RECOVERED,
    ("thread-pool", "none"): OK,
    ("thread-pool", "worker-kill"): OK,
    ("thread-pool", "broker-kill:aof-always"): SKIPPED,
}
"""(backend, fault) -> fate, for the campaign `SMALL`."""


def with_faults(
    tables: Mapping[str, pd.DataFrame],
    fates: Fates = FATES,
    *,
    blocks: int = 2,
    hits: int = 2,
    provider: str = "local",
) -> dict[str, pd.DataFrame]:
    """Add trials with faults to a synthetic campaign, with their hits and outcomes."""
    trials: list[TrialRow] = []
    metrics: list[MetricRow] = []
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in ("task", "fault", "outcome")}
    for number, ((backend, fault), fate) in enumerate(fates.items()):
        like = tables["trial"][tables["trial"]["backend"] == backend].iloc[0]
        for block in range(blocks if not fate.skip else 1):
            trial = _trial(like, fault, block, fate, hits, provider)
            trials.append(trial)
            if fate.skip or fate.failure:
                continue
            rng = np.random.default_rng((number, block))
            tasks, of_hits, outcomes = _window(trial, fault, fate, hits, rng)
            for name, rows in (("task", tasks), ("fault", of_hits), ("outcome", outcomes)):
                parts[name].append(rows)
            metrics += _metrics(trial, fate)
    frames = {name: pd.concat(rows, ignore_index=True) for name, rows in parts.items()}
    both: dict[str, pd.DataFrame] = {
        **tables,
        "trial": added("trial", tables["trial"], trials),
        "metric": added("metric", tables["metric"], metrics),
        **{name: added(name, tables[name], frames[name]) for name in ("task", "fault", "outcome")},
    }
    for name in frames:
        both |= {f"{name}/{i}-1": rows for i, rows in both[name].groupby("trial_id")}
    return both


COUNTED = {
    TaskOutcome.LOST_SILENT: "n_lost",
    "stuck": "n_stuck",
    "lost-reported": "n_lost_reported",
    "duplicated": "n_duplicated",
    "re-executed": "n_re_executed",
    "unknown": "n_unknown",
}
ACK_MEANS = {"rq": "accepted", "celery": "socket"}


def _trial(
    like: pd.Series, fault: str, block: int, fate: Fate, hits: int, provider: str
) -> TrialRow:
    known = {str(name): None if pd.isna(value) else value for name, value in like.items()}
    row = TrialRow(**known)  # type: ignore[arg-type]
    status, reason = "ok", fate.skip or fate.failure
    if reason:
        status = "skipped" if fate.skip else "failed"
    n = 0 if reason else N_TASKS
    n_hits = 0 if reason or fate.misses else hits
    counts: dict[str, Any] = {}
    if fate.outcome in COUNTED:
        counts[COUNTED[fate.outcome]] = EXECUTING * (0 if fault == "none" else n_hits)
    return replace(
        row,
        **{
            "trial_id": f"{zlib.crc32((row.label + fault + provider).encode()):08x}{block:08x}",
            "provider": provider,
            "fault": fault,
            "block": block,
            "arrival": "paced",
            "rate_hz": N_TASKS / WINDOW_S,
            "interarrival": "poisson",
            "flag": "ok",
            "flag_reasons": "",
            "status": status,
            "reason": reason,
            "n_planned": N_TASKS,
            "n_sent": n,
            "n_done": n,
            "n_lost": 0,
            "n_duplicated": 0,
            "t_begin_ns": BEGIN_NS,
            "t_end_ns": BEGIN_NS + int(WINDOW_S * SECOND),
            "n_hits": n_hits,
            "n_missed_hits": hits if fate.misses else 0,
            "ack_means": ACK_MEANS.get(row.backend, "in-memory"),
            **counts,
        },
    )


def _metrics(trial: TrialRow, fate: Fate) -> Iterator[MetricRow]:
    values = {"time_to_recover_s": AWAY_S if trial.n_hits and trial.fault != "none" else 0.0}
    if fate.delay_s:
        values["redelivery_delay_s_max"] = fate.delay_s
    for name, value in values.items():
        yield MetricRow(trial.trial_id, 1, name, value, "", "s", N_TASKS, "made up", 1)


def _window(
    trial: TrialRow, fault: str, fate: Fate, hits: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return tasks, hits and outcomes of one window."""
    t0 = BEGIN_NS + np.sort(rng.uniform(0, WINDOW_S * SECOND, N_TASKS)).astype("int64")
    instants = BEGIN_NS + (np.arange(1, hits + 1) * WINDOW_S / (hits + 1) * SECOND).astype("int64")
    t3 = t0 + rng.exponential(2 * MS, N_TASKS).astype("int64")
    is_quiet = fault == "none" or fate.misses
    hit_of = np.full(N_TASKS, -1)
    for number, instant in enumerate([] if is_quiet else instants):
        away = (t3 >= instant) & (t3 < instant + AWAY_S * SECOND)
        t3[away] = instant + AWAY_S * SECOND + np.arange(away.sum()) * 20 * MS
        hit_of[np.flatnonzero(t0 < instant)[-EXECUTING:]] = number
    hurt = hit_of >= 0
    t4 = t3 + 50 * MS
    again = hurt & (fate.outcome == "re-executed")
    t4[again] += int(fate.delay_s * SECOND)
    gone = hurt & np.isin(
        fate.outcome, [TaskOutcome.LOST_SILENT, "stuck", "lost-reported", "unknown"]
    )
    tasks = pd.DataFrame(
        {
            "trial_id": trial.trial_id,
            "task_id": np.arange(N_TASKS),
            "attempt_no": 1,
            "phase": "measure",
            "t0_ns": t0,
            "t1_ns": t0 + 2_000,
            "t2_ns": t0 + 9_000,
            "t3_ns": pd.array(t3, "Int64"),
            "t4_ns": pd.array(np.where(gone, 0, t4), "Int64"),
            "t5_ns": pd.array([pd.NA] * N_TASKS, "Int64"),
            "node": pd.array([0] * N_TASKS, "Int64"),
            "worker": "1:1",
            "outcome": np.where(gone, "unfinished", "ok"),
            "answer": pd.array([pd.NA] * N_TASKS, "Int64"),
        }
    )
    tasks.loc[gone, "t4_ns"] = pd.NA
    return (
        typed("task", tasks),
        _hits(trial, fault, fate, instants, hit_of),
        _outcomes(trial, fate, hit_of),
    )


def _hits(trial: TrialRow, fault: str, fate: Fate, instants: Any, hit_of: Any) -> pd.DataFrame:
    kind = fault.partition(":")[0]
    is_hit, is_control = not fate.misses, kind == "none"
    proof = "control: nothing was done" if is_control else "exit code -9"
    rows = [
        {
            "trial_id": trial.trial_id,
            "hit": number,
            "fault": kind,
            "planned_ns": int(instant),
            "injected_ns": int(instant) + MS if is_hit else pd.NA,
            "healed_ns": pd.NA,
            "restarted_ns": int(instant + AWAY_S * SECOND) if is_hit and not is_control else pd.NA,
            "role": "broker" if kind.startswith("broker") else "worker",
            "target": f"worker-0 pid {4200 + number}" if is_hit else "",
            "activity": "executing" if is_hit and not is_control else "unknown",
            "task_ids": " ".join(map(str, np.flatnonzero(hit_of == number))),
            "proof": proof if is_hit else "",
            "status": "hit" if is_hit else "missed",
            "reason": "" if is_hit else "No worker was executing a task within 2 s.",
        }
        for number, instant in enumerate(instants)
    ]
    columns = ["trial_id", "hit", "fault", "planned_ns", "injected_ns", "healed_ns"]
    columns += ["restarted_ns", "role", "target", "activity", "task_ids", "proof"]
    frame = pd.DataFrame(rows, columns=[*columns, "status", "reason"])
    return frame.astype({f"{name}_ns": "Int64" for name in ("injected", "healed", "restarted")})


def _outcomes(trial: TrialRow, fate: Fate, hit_of: Any) -> pd.DataFrame:
    hurt = hit_of >= 0
    outcomes = pd.DataFrame(
        {
            "trial_id": trial.trial_id,
            "task_id": np.arange(N_TASKS),
            "outcome": np.where(hurt, fate.outcome, "ok"),
            "starts": np.where(hurt & np.isin(fate.outcome, ["re-executed", "duplicated"]), 2, 1),
            "completions": np.where(hurt & (fate.outcome == "duplicated"), 2, 1),
            "state": np.where(hurt, {"stuck": "running"}.get(fate.outcome, ""), ""),
            "hit": pd.array(hit_of, "Int64"),
            "redelivery_ns": pd.array([int(fate.delay_s * SECOND)] * N_TASKS, "Int64"),
            "taken_over_by": np.where(hurt & (fate.delay_s > 0), "node 0, pid 4321", ""),
        }
    )
    return outcomes.assign(
        hit=outcomes["hit"].where(hurt),
        redelivery_ns=outcomes["redelivery_ns"].where(hurt & (fate.delay_s > 0)),
    )
