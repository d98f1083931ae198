"""Decides for which tasks the records of a host that a fault has taken away are not needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lab.core.faults import Role
from lab.planning.phases import Phase
from lab.running.trial import TrialObservation


def proven(
    outcome: TrialObservation, status: Mapping[str, Any], submits: pd.DataFrame
) -> frozenset[int]:
    """Return the tasks whose missing records cannot change their outcome.

    Those that the host was executing when it was cut off have no end there, as its ledger showed at
    that instant; those that were sent later did not reach it. There are none if other records are
    missing as well.

    Args:
        outcome: The lab's observations of the attempt.
        status: The last status that the driver wrote.
        submits: `SubmitRow` columns.
    """
    losses = [row for row in outcome.hits if row.role == Role.HOST]
    hosts = {row.target for row in losses}
    lost = {node for node, host in enumerate(outcome.hosts.split("|")) if host in hosts}
    if not losses or not lost.issuperset(status.get("incomplete", ())):
        return frozenset()
    executing = {int(task_id) for row in losses for task_id in row.task_ids.split()}
    last_ns = max(row.injected_ns or 0 for row in losses)
    is_later = (submits["phase"] == Phase.MEASURE) & (submits["t1_ns"] > last_ns)
    return frozenset(executing | {*submits.loc[is_later.fillna(value=False), "task_id"]})
