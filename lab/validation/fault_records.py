"""Judges the tasks of a trial with a fault from its records, and makes its columns of the row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.core.backend import ack_means_of
from lab.core.errors import ResultsError
from lab.core.faults import Role
from lab.core.model import Flag, Periodic, TrialSpec
from lab.planning import registry
from lab.planning.redelivery import horizons_s
from lab.recording.task_states import read_states
from lab.running.trial import TrialObservation
from lab.validation.fault_outcomes import (
    Aftermath,
    ProvedHit,
    classify,
    proved_hits,
    stopped_consuming,
)
from lab.validation.issue import Issue
from lab.validation.trial_files import Records


@dataclass(frozen=True, slots=True)
class TaskOutcomes:
    """The outcomes of a trial's tasks, its proved hits, its columns, and problems of its records.

    A trial without a fault has the outcomes of `checker.outcomes`, and no hits.
    """

    outcomes: pd.DataFrame
    hits: Sequence[ProvedHit]
    columns: dict[str, Any]
    issues: Sequence[Issue]


def judge(outcome: TrialObservation, table: pd.DataFrame, records: Records) -> TaskOutcomes:
    """Replace the outcomes by those of a trial with a fault, if it has one (METHOD M29).

    A job keeps its outcome: its missed and doubled runs are in the table of firings (METHOD M26).

    Args:
        outcome: The lab's observations of the attempt.
        table: The result of `checker.outcomes`.
        records: The tables of the attempt.
    """
    spec = outcome.spec
    counted = {
        "n_hits": sum(row.injected_ns is not None for row in outcome.hits),
        "n_missed_hits": sum(row.injected_ns is None for row in outcome.hits),
    }
    if spec.fault is None or isinstance(spec.arrival, Periodic):
        return TaskOutcomes(table, tuple(proved_hits(outcome.hits)), counted, ())
    states, issues = {}, list[Issue]()
    try:
        # Damaged states make the trial invalid, and ledger and journal still classify its tasks.
        states = read_states(outcome.folder)
    except ResultsError as error:
        issues.append(Issue(Flag.INVALID, str(error)))
    end_ns = _end_ns(records)
    # The whole ledger, because `records.tasks` lacks the events after the drain.
    hits, late = proved_hits(outcome.hits), _late(records.ledger, end_ns)
    after = Aftermath(hits, end_ns, *horizons_s(registry.select(spec.label)), states, late)
    judged = classify(table, records.tasks, records.submits, after)
    # Without a live worker no system consumes, so the column stays empty.
    if _has_live_workers(outcome):
        has_stopped = stopped_consuming(judged, records.tasks, records.submits, after)
        counted["stopped_consuming"] = int(has_stopped)
    return TaskOutcomes(judged, hits, counted, issues)


def promises(spec: TrialSpec) -> dict[str, Any]:
    """Return the columns of what the system promises, and of the factors of the fault."""
    fault, backend = spec.fault, registry.select(spec.label).backend
    persistence = fault.persistence if fault else ""
    waiting_s, started_s = horizons_s(registry.select(spec.label)) if fault else (None, None)
    return {
        "ack_means": str(ack_means_of(backend, spec.variant, spec.profile, persistence)),
        # A column holds finite numbers only, so a horizon without a limit is empty as well.
        "horizon_s": _finite(waiting_s),
        "started_horizon_s": _finite(started_s),
        "persistence": persistence,
        "restart_s": fault.restart_s if fault else None,
    }


def _end_ns(records: Records) -> int:
    """Return the end of the drain; the last record if the driver was killed.

    Then no missing task counts as lost, because nothing waited for it.
    """
    if records.end_ns is not None:
        return records.end_ns
    last_ns = records.ledger[["t2_ns", "t3_ns", "t4_ns"]].max().max()
    return 0 if pd.isna(last_ns) else int(last_ns)


def _late(ledger: pd.DataFrame, end_ns: int) -> frozenset[int]:
    """Return the tasks that started or returned after the end of the drain."""
    returned_late = (ledger["outcome"] == "ok") & (ledger["t4_ns"] > end_ns)
    is_late = (returned_late | (ledger["t3_ns"] > end_ns)).fillna(value=False)
    return frozenset(ledger.loc[is_late, "task_id"])


def _has_live_workers(outcome: TrialObservation) -> bool:
    """Return whether workers lived after the hits: none was hit, or the lab restarted them."""
    fault = outcome.spec.fault
    has_hit_workers = any(row.role in (Role.WORKER, Role.CHILD) for row in outcome.hits)
    return not has_hit_workers or (fault is not None and fault.restart_s is not None)


def _finite(horizon_s: float | None) -> float | None:
    return None if horizon_s is None or math.isinf(horizon_s) else horizon_s
