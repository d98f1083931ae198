"""Every system against every question, a row a label: the whole run at a glance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from lab.analysis.labels import each, identify
from lab.analysis.queries import OVERHEAD, THROUGHPUT, usable
from lab.analysis.statistics import interval
from lab.core.model import Burst, Status
from lab.figures import Tables
from lab.figures.theme import colour_of
from lab.report.answers.queries import by, cells, placed, ratio, values
from lab.report.number_format import NOT_MEASURED, digits
from lab.report.schedules import schedules
from lab.report.summary import Line, Number, count_of, shown

ByLabel = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Asked:
    """A column: its heading, the question that it belongs to, and a number for each label."""

    title: str
    question: str
    numbers: Callable[[Tables], ByLabel]


def lines(tables: Tables) -> list[Line]:
    """Make the rows, by name; a label that was only skipped has none."""
    trials = tables["trial"]
    ran = set(trials.loc[trials["status"] != Status.SKIPPED, "label"])
    columns = [column.numbers(tables) for column in COLUMNS] if ran else []
    missing = Number(NOT_MEASURED)
    return [
        Line(
            row.label,
            row.name,
            colour_of(row.family),
            [column.get(row.label, missing) for column in columns],
        )
        for row in each(identify(trials))
        if row.label in ran
    ]


def _estimated(metric: str, scale: float) -> Callable[[Tables], ByLabel]:
    """Make the column of an estimate, each label's where its workload and topology are least."""

    def numbers(tables: Tables) -> ByLabel:
        firsts = cells(tables, metric).drop_duplicates("label")
        return {row.label: _placed(shown(row, scale), row.place) for row in each(firsts)}

    return numbers


def _placed(number: Number, place: str) -> Number:
    return Number(number.text, number.interval, f"{place}; {number.note}", number.value)


def _counted(*counts: str) -> Callable[[Tables], ByLabel]:
    """Make the column of a count of tasks over all attempts that sent some."""

    def numbers(tables: Tables) -> ByLabel:
        trials = tables["trial"]
        return {
            label: count_of(list(each(own)), *counts)
            for label, own in by(trials[trials["n_sent"] > 0], "label")
        }

    return numbers


def _gain(tables: Tables) -> ByLabel:
    """Make the column of how much a label gains from its fewest workers to its most."""
    trials = values(tables, THROUGHPUT)
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    found = {}
    for label, own in by(trials, "label"):
        first = own[own["workload_name"] == own["workload_name"].iloc[0]]
        few, many = (first[first["workers"] == n] for n in _ends(first["workers"]))
        if (gain := ratio(many, few)) is not None and len(first["workers"].unique()) > 1:
            ends = f"{first['workload_name'].iloc[0]}, {few['topology'].iloc[0]} to "
            note = f"{ends}{many['topology'].iloc[0]}; {gain.method}"
            known = gain.low is not None and gain.high is not None
            span = f"{digits(gain.low or 0)} to {digits(gain.high or 0)}" if known else ""
            found[label] = Number(digits(gain.value), span, note, gain.value)
    return found


def _ends(workers: pd.Series) -> tuple[int, int]:
    return int(workers.min()), int(workers.max())


def _ready(tables: Tables) -> ByLabel:
    """Make the column of how long a label takes to have answered with every worker."""
    trials = placed(usable(tables["trial"]).dropna(subset=["boot_ns"]))
    found = {}
    for label, own in by(trials, "label"):
        first = own[own["topology"] == own["topology"].iloc[0]]
        boot = interval([float(value) / 1e9 for value in first["boot_ns"]])
        known = boot.low is not None and boot.high is not None
        span = f"{digits(boot.low or 0)} to {digits(boot.high or 0)}" if known else ""
        note = f"{first['topology'].iloc[0]}; {boot.method}"
        found[label] = Number(digits(boot.value), span, note, boot.value)
    return found


def _latest(tables: Tables) -> ByLabel:
    """Make the column of a label's latest run of its first schedule."""
    rows = {row.label: row for row in reversed(schedules(tables))}
    return {
        label: Number(row.latest.text, "", row.title, row.latest.value)
        for label, row in rows.items()
    }


COLUMNS = (
    Asked("lost", "lost", _counted("n_lost", "n_partial")),
    Asked("run twice", "lost", _counted("n_duplicated")),
    Asked("overhead us", "overhead", _estimated(OVERHEAD, 1e6)),
    Asked("wait p50 ms", "latency", _estimated("queue_latency_s_p50", 1e3)),
    Asked("wait p99 ms", "latency", _estimated("queue_latency_s_p99", 1e3)),
    Asked("late max ms", "schedule", _latest),
    Asked("gain by workers", "scaling", _gain),
    Asked("ready after s", "cold-start", _ready),
)
