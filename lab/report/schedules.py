"""Tabulates how punctual each label is at each schedule, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.queries import topology_names, usable, workload_names
from lab.core.cell import CELL, TOPOLOGY
from lab.core.model import Periodic, Status
from lab.figures import Tables
from lab.report.headlines import shown_estimates
from lab.report.number_format import NOT_MEASURED, digits
from lab.report.numbers import Number
from lab.report.summary import Column, flags_of, number_of

# Estimates over trials, with an interval if there are enough trials.
COLUMNS = tuple(
    Column(metric, title, metric, Periodic.kind, scale)
    for metric, title, scale in (
        ("lateness_s_p50", "late p50 ms", 1e3),
        ("jitter_s_iqr", "jitter IQR ms", 1e3),
        ("jitter_s_sd", "jitter sd ms", 1e3),
        ("drift_s_per_occurrence", "drift us/occurrence", 1e6),
        ("schedule_to_first_run_s_mean", "first firing s", 1.0),
    )
)
LATEST = "lateness_s_max"
COUNTS = ("missed", "doubled", "early", "overlapping")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One label at one schedule.

    Attributes:
        label: The label.
        name: Its short name.
        colour: Its colour.
        title: Workload, schedule and topology.
        n_trials: Number of trials.
        n_due: Number of occurrences that were due in these trials.
        numbers: Estimates by the names of `COLUMNS`.
        latest: Lateness of the latest firing of all trials, in ms.
        counts: Sums over trials of `COUNTS`, as text.
        flags: Number of attempts by flag or status.
    """

    label: str
    name: str
    colour: str
    title: str
    n_trials: int
    n_due: int
    numbers: Mapping[str, Number]
    latest: Number
    counts: Sequence[str]
    flags: str


def schedules(tables: Tables) -> list[Schedule]:
    """Return the rows by workload and schedule, the most punctual first.

    Args:
        tables: At least `trial`, `metric` and `estimate`.
    """
    trials = tables["trial"]
    trials = trials[(trials["arrival"] == Periodic.kind) & (trials["status"] != Status.SKIPPED)]
    if trials.empty:
        return []
    title = workload_names(trials) + ", " + trials["schedule"] + ", " + topology_names(trials)
    names = identify(tables["trial"])[["label", "name"]]
    named = trials.assign(title=title).merge(names, on="label")
    named = named.sort_values(["nominal_ns", "schedule", *TOPOLOGY], kind="stable")
    last = usable(trials)[["trial_id", "attempt"]]
    # Usable attempts only: a repeated trial would count its occurrences twice.
    values = tables["metric"].dropna(subset=["value"]).merge(last, on=["trial_id", "attempt"])
    estimates = shown_estimates(tables["estimate"])
    # Columns such as the rate are null here, and pandas would drop these groups.
    groups = named.groupby(["title", *CELL], dropna=False, sort=False)
    rows = [_row(list(each(cell)), values, estimates) for _, cell in groups]
    places = {row.title: number for number, row in reversed([*enumerate(rows)])}
    return sorted(rows, key=lambda row: (places[row.title], _rank(row)))


def _rank(row: Schedule) -> float:
    return float("inf") if row.latest.value is None else row.latest.value


def _row(cell: list[Any], values: pd.DataFrame, estimates: Mapping[Any, Any]) -> Schedule:
    first = cell[0]
    metrics = values[values["trial_id"].isin([trial.trial_id for trial in cell])]
    sums = metrics.groupby("metric")["value"].sum()
    return Schedule(
        label=first.label,
        name=first.name,
        colour=colour_of(first.family),
        title=first.title,
        n_trials=metrics["trial_id"].nunique(),
        n_due=int(metrics.loc[metrics["metric"] == COUNTS[0], "n"].sum()),
        numbers={column.name: number_of(cell, estimates, column) for column in COLUMNS},
        latest=_latest(metrics),
        # A trial without usable records has no count, which is not a count of zero.
        counts=[f"{int(sums[name])}" if name in sums else NOT_MEASURED for name in COUNTS],
        flags=flags_of(cell),
    )


def _latest(metrics: pd.DataFrame) -> Number:
    values = metrics.loc[metrics["metric"] == LATEST, "value"].astype("float64") * 1e3
    if values.empty:
        return Number(NOT_MEASURED)
    # The maximum over trials: a mean would hide the one firing that was late.
    return Number(digits(float(values.max())), value=float(values.max()))


def shown_columns(rows: Sequence[Schedule]) -> Sequence[Column]:
    """Return the columns that hold a number in any row."""
    return [c for c in COLUMNS if any(row.numbers[c.name].value is not None for row in rows)]


def as_table(rows: Sequence[Schedule]) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and the rows as text."""
    shown = shown_columns(rows)
    headings = ["label", "schedule", "due", "late max ms", *(c.title for c in shown)]
    cells = [
        [
            row.name,
            row.title,
            str(row.n_due),
            row.latest.text,
            *(row.numbers[column.name].text for column in shown),
            *row.counts,
            row.flags,
        ]
        for row in rows
    ]
    return "Is the schedule kept?", [*headings, *COUNTS, "flags"], cells
