"""Tabulates one number per question for every label: the overview of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lab.analysis.colours import colour_of
from lab.analysis.disturbed import AsCounted
from lab.analysis.labels import each, identify
from lab.analysis.queries import OVERHEAD, THROUGHPUT, usable
from lab.analysis.statistics import interval
from lab.core.model import Burst, Flag, Periodic, Status
from lab.figures import Tables
from lab.report.answers.queries import by, cells, placed, ratio, values
from lab.report.limits import limit_of
from lab.report.number_format import NOT_MEASURED, digits
from lab.report.numbers import Number, possible, shown
from lab.report.schedules import schedules
from lab.report.summary import LabelRow, count_of, in_brackets

ByLabel = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class OverviewColumn:
    """A column: its heading, the question that it answers, and the number of each label."""

    title: str
    question: str
    numbers: Callable[[Tables], ByLabel]


def lines(tables: Tables, columns: Sequence[OverviewColumn] = ()) -> list[LabelRow]:
    """Return the rows by name; a label with only skipped trials has none.

    `columns` are those of the overview unless others are given.
    """
    trials = tables["trial"]
    ran = set(trials.loc[trials["status"] != Status.SKIPPED, "label"])
    numbers = [_numbers(column, tables) for column in columns or COLUMNS] if ran else []
    missing = Number(NOT_MEASURED)
    return [
        LabelRow(
            row.label,
            row.name,
            colour_of(row.family),
            [column.get(row.label, missing) for column in numbers],
        )
        for row in each(identify(trials))
        if row.label in ran
    ]


def _numbers(column: OverviewColumn, tables: Tables) -> ByLabel:
    """Return the number of each label, in brackets if all its trials were disturbed."""
    numbers = column.numbers(tables)
    if not (tables["trial"]["flag"] == Flag.DISTURBED).any():
        return numbers
    measured = column.numbers(AsCounted(tables))
    disturbed = {label: in_brackets(measured[label], "no trial counts") for label in measured}
    # The right operand wins: a number that counts replaces a disturbed one of its label.
    return {**disturbed, **numbers}


def estimated(metric: str, scale: float) -> Callable[[Tables], ByLabel]:
    """Return a column of an estimate, for the smallest workload and topology of each label."""

    def numbers(tables: Tables) -> ByLabel:
        firsts = cells(tables, metric).drop_duplicates("label")
        return {row.label: _placed(shown(row, scale), row.place) for row in each(firsts)}

    return numbers


def _placed(number: Number, place: str) -> Number:
    # The labels of a column may differ in workload and topology, so each number names its own.
    return Number(number.text, number.interval, f"{place}; {number.note}", number.value)


def counted(*counts: str) -> Callable[[Tables], ByLabel]:
    """Return a column that counts tasks over all attempts that submitted any.

    A scheduled job is no task: its missed and doubled runs are counted with the schedules.
    """

    def numbers(tables: Tables) -> ByLabel:
        trials = tables["trial"]
        trials = trials[(trials["n_sent"] > 0) & (trials["arrival"] != Periodic.kind)]
        return {label: count_of(list(each(rows)), *counts) for label, rows in by(trials, "label")}

    return numbers


def _gain(tables: Tables) -> ByLabel:
    """Return each label's speed-up from its smallest to its largest number of workers."""
    trials = values(tables, THROUGHPUT)
    # Only with work does the number of workers bound the rate, and so the gain below.
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    numbers = {}
    for label, rows in by(trials, "label"):
        # One workload only, so that few and many workers ran the same tasks.
        first = rows[rows["workload_name"] == rows["workload_name"].iloc[0]]
        few, many = (first[first["workers"] == n] for n in _ends(first["workers"]))
        if (gain := ratio(many, few)) is not None and len(first["workers"].unique()) > 1:
            ends = f"{first['workload_name'].iloc[0]}, {few['topology'].iloc[0]} to "
            note = f"{ends}{many['topology'].iloc[0]}; {gain.method}"
            known = gain.low is not None and gain.high is not None
            span = f"{digits(gain.low or 0)} to {digits(gain.high or 0)}" if known else ""
            most = float(many["workers"].iloc[0] / few["workers"].iloc[0])
            limit = limit_of(gain.value, gain.low, gain.high, most=most)
            number = Number(digits(gain.value), span, note, gain.value)
            numbers[label] = possible(number, limit)
    return numbers


def _ends(workers: pd.Series) -> tuple[int, int]:
    return int(workers.min()), int(workers.max())


def _ready(tables: Tables) -> ByLabel:
    """Return each label's time from its start until every worker has answered."""
    trials = placed(usable(tables["trial"]).dropna(subset=["boot_ns"]))
    numbers = {}
    for label, rows in by(trials, "label"):
        first = rows[rows["topology"] == rows["topology"].iloc[0]]
        # The start-up is a column of `trial` and no metric, so no estimate of it exists.
        boot = interval([float(value) / 1e9 for value in first["boot_ns"]])
        known = boot.low is not None and boot.high is not None
        span = f"{digits(boot.low or 0)} to {digits(boot.high or 0)}" if known else ""
        note = f"{first['topology'].iloc[0]}; {boot.method}"
        numbers[label] = Number(digits(boot.value), span, note, boot.value)
    return numbers


def _latest(tables: Tables) -> ByLabel:
    """Return the lateness of each label's latest firing of its first schedule."""
    # A dict keeps the last of equal keys; reversed, that is the first schedule of a label.
    rows = {row.label: row for row in reversed(schedules(tables))}
    return {
        label: Number(row.latest.text, "", row.title, row.latest.value)
        for label, row in rows.items()
    }


# In the order of the questions on the page, to which the headings link.
COLUMNS = (
    OverviewColumn("lost", "lost", counted("n_lost")),
    OverviewColumn("unfinished", "lost", counted("n_partial", "n_unknown")),
    OverviewColumn("duplicated", "lost", counted("n_duplicated")),
    OverviewColumn("overhead us", "overhead", estimated(OVERHEAD, 1e6)),
    OverviewColumn("wait p50 ms", "latency", estimated("queue_latency_s_p50", 1e3)),
    OverviewColumn("wait p99 ms", "latency", estimated("queue_latency_s_p99", 1e3)),
    OverviewColumn("late max ms", "schedule", _latest),
    OverviewColumn("speed-up by workers", "scaling", _gain),
    OverviewColumn("ready after s", "cold-start", _ready),
)
