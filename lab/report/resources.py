"""Tabulates memory, cold start and idle cost of a worker, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.colours import colour_of
from lab.analysis.disturbed import AsCounted
from lab.analysis.labels import each, identify
from lab.analysis.queries import topology_names, usable, workload_names
from lab.analysis.statistics import interval
from lab.core.cell import PLACE, TOPOLOGY
from lab.core.model import Burst, Flag, Idle, Status
from lab.figures import Tables
from lab.report.headlines import shown_estimates
from lab.report.number_format import NOT_MEASURED, digits
from lab.report.numbers import Number
from lab.report.summary import Column, flags_of, in_brackets, number_of

MB = 1e-6
STATE = "memory_bytes_per_worker_{}"
# A cold start does not depend on the workload, so it is estimated over all trials of a topology.
POOLED = (
    Column("cold_start", "cold start s", "cold_start_s", "any", 1),
    Column("cold_import", "import time s", "cold_import_s", "any", 1),
)
COLUMNS = (
    # Paced trials are not read in the window: a reading locks the memory map (METHOD M25).
    Column("idle", "idle MB", STATE.format("idle"), Burst.kind, MB),
    Column("steady", "steady MB", STATE.format("steady"), Burst.kind, MB),
    Column("peak", "peak MB", STATE.format("peak"), Burst.kind, MB),
    Column("drained", "memory after MB", STATE.format("drained"), Burst.kind, MB),
    Column("waiting", "waiting MB", STATE.format("idle"), Idle.kind, MB),
    # Growth and `anonymous` leave out mapped files, because the ledger is one (METHOD M25).
    Column("leak", "growth B/task", "leak_bytes_per_task", Burst.kind, 1),
    Column("anonymous", "anonymous MB", "anonymous_bytes_per_worker_peak", Burst.kind, MB),
    Column("broker", "broker MB", "broker_memory_bytes_peak", Burst.kind, MB),
    *POOLED,
    Column("cpu", "idle CPU s/h", "idle_cpu_s_per_hour", Idle.kind, 1),
    Column("wakeups", "idle wake-ups/s", "idle_wakeups_per_s", Idle.kind, 1),
    Column("commands", "idle commands/s", "idle_broker_commands_per_s", Idle.kind, 1),
    Column("bytes", "idle bytes/s", "idle_network_bytes_per_s", Idle.kind, 1),
)


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One label with one workload on one topology; numbers are per worker, except the broker's."""

    label: str
    name: str
    colour: str
    title: str
    workload: str
    cores_x_nodes: str
    numbers: Mapping[str, Number]
    flags: str


def resource_rows(tables: Tables) -> list[ResourceRow]:
    """Return the rows with a number, by workload and topology, the smallest first.

    Args:
        tables: At least `trial`, `metric` and `estimate`.
    """
    trials = tables["trial"]
    trials = trials[trials["arrival"].isin([Burst.kind, Idle.kind])]
    trials = trials[trials["status"] != Status.SKIPPED]
    if trials.empty:
        return []
    named = trials.assign(
        workload_name=workload_names(trials),
        title=workload_names(trials) + ", " + topology_names(trials),
    ).merge(identify(tables["trial"])[["label", "name"]], on="label")
    named = named.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")
    estimates = shown_estimates(tables["estimate"])
    pooled = _pooled(tables)
    if (tables["trial"]["flag"] == Flag.DISTURBED).any():
        measured = _pooled(AsCounted(tables))
        # The right operand wins: a number that counts replaces a disturbed one.
        pooled = {k: in_brackets(n, "no trial counts") for k, n in measured.items()} | pooled
    cells = named.groupby(["title", "label", "provider"], sort=False)
    rows = [_row(list(each(cell)), estimates, pooled) for _, cell in cells]
    rows = [row for row in rows if any(map(_is_shown, row.numbers.values()))]
    places = {row.title: number for number, row in reversed([*enumerate(rows)])}
    return sorted(rows, key=lambda row: (places[row.title], _size(row)))


def _size(row: ResourceRow) -> float:
    known = (row.numbers[name].value for name in ("idle", "waiting"))
    return next((value for value in known if value is not None), float("inf"))


def _row(
    cell: list[Any], estimates: Mapping[Any, Any], pooled: Mapping[Any, Number]
) -> ResourceRow:
    first = cell[0]
    numbers = {column.name: number_of(cell, estimates, column) for column in COLUMNS}
    for column in POOLED:
        # No trial has the arrival `any`, so `number_of` has no number for these columns.
        key = (column.metric, *_place(first))
        numbers[column.name] = pooled.get(key, Number(NOT_MEASURED))
    return ResourceRow(
        label=first.label,
        name=first.name,
        colour=colour_of(first.family),
        title=first.title,
        workload=first.workload_name,
        cores_x_nodes=f"{first.cores_per_node} x {first.nodes}",
        numbers=numbers,
        flags=flags_of(cell),
    )


def _place(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in PLACE)


def _pooled(tables: Tables) -> dict[Any, Number]:
    """Estimate the cold start over all usable trials of a label and a topology."""
    metrics = tables["metric"]
    wanted = metrics[metrics["metric"].isin([column.metric for column in POOLED])]
    wanted = wanted[wanted["is_valid"] == 1].dropna(subset=["value"])
    # A repeated attempt has a cold start as well; it must not count twice for its trial.
    trials = usable(tables["trial"])[["trial_id", "attempt", *PLACE]]
    groups = wanted.merge(trials, on=["trial_id", "attempt"]).groupby(["metric", *PLACE])
    return {key: _over_trials(rows) for key, rows in groups}


def _over_trials(rows: pd.DataFrame) -> Number:
    estimate = interval(rows["value"].astype("float64").tolist())
    # One trial that is only an upper bound makes the mean one: `<` sorts after the empty text.
    bound = max(rows["bound"], default="")
    number = Number(f"{bound}{digits(estimate.value)}", "", estimate.method, estimate.value)
    # The spread of bounds is not the spread of the values that they bound.
    if estimate.low is None or estimate.high is None or bound:
        return number
    return replace(number, interval=f"{digits(estimate.low)} to {digits(estimate.high)}")


def shown_columns(rows: Sequence[ResourceRow]) -> Sequence[Column]:
    """Return the columns that hold a number in any row."""
    return [c for c in COLUMNS if any(_is_shown(row.numbers[c.name]) for row in rows)]


def _is_shown(number: Number) -> bool:
    # A disturbed number has no value, because it ranks nothing; it is in brackets.
    return number.value is not None or number.text.startswith("(")


def as_table(rows: Sequence[ResourceRow]) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and the rows as text."""
    shown = shown_columns(rows)
    headings = ["label", "workload", "cores x nodes", *(column.title for column in shown)]
    cells = [
        [row.name, row.workload, row.cores_x_nodes, *(row.numbers[c.name].text for c in shown)]
        for row in rows
    ]
    return "What does a worker cost?", headings, cells
