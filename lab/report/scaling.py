"""Tabulates speed-ups and scaling laws, or why no law was fitted (METHOD M20, M21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.cells import cell_key
from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.queries import THROUGHPUT, workload_names
from lab.analysis.sweeps.grouping import noun_of
from lab.figures import Tables
from lab.report.headlines import headline
from lab.report.limits import most_per_s
from lab.report.number_format import NOT_MEASURED, plural
from lab.report.numbers import Number, written
from lab.report.summary import Column

RATE = Column("throughput", "tasks/s", THROUGHPUT, "burst", 1.0)
COLUMNS = tuple(
    Column(metric, title, metric, "burst", 1.0)
    for metric, title in (
        ("speed_up", "speed-up"),
        ("scaling_efficiency", "efficiency"),
        ("serial_share", "serial share"),
        ("speed_up_over_inline", "speed-up over inline"),
    )
)
LAW: Mapping[str, str] = {
    "law_rate_per_s": "{} tasks/s at 1",
    "contention": "contention {}",
    "coherency": "coherency {}",
    "peak": "peak at {}",
}
LINE = ["title", "x_axis", "fixed"]


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One label at one point of a line; keys of `numbers` are the names of `RATE` and `COLUMNS`."""

    label: str
    name: str
    colour: str
    at: str
    oversubscription: str
    numbers: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class ScalingLine:
    """One line: a workload along one axis. `laws` pairs labels with their law, or why none."""

    title: str
    steps: Sequence[ScalingRow]
    laws: Sequence[tuple[str, str]]


def scaling_lines(tables: Tables) -> list[ScalingLine]:
    """Return the tables of all lines along cores, workers or nodes.

    Args:
        tables: At least `trial`, `estimate` and `trend`.
    """
    table = tables["trend"]
    table = table[table["x_axis"].isin(["cores", "workers", "nodes"])]
    if table.empty:
        return []
    # The table of trends has no durations, which are part of the names of workloads.
    durations = tables["trial"].drop_duplicates(["workload", "size"])
    durations = durations[["workload", "size", "size_unit", "nominal_ns"]]
    runs = tables["trial"].drop_duplicates("label")[["label", "runs_tasks"]]
    named = table.merge(durations, on=["workload", "size"], how="left")
    named = named.assign(title=workload_names(named))
    named = named.merge(identify(tables["trial"]), on="label").merge(runs, on="label")
    estimates = headline(tables["estimate"])
    named = named.sort_values(["nominal_ns", "workload"], kind="stable")
    return [_growth(rows, estimates) for _, rows in named.groupby(LINE, sort=False)]


def _growth(rows: pd.DataFrame, estimates: Mapping[Any, Any]) -> ScalingLine:
    first = rows.iloc[0]
    points = rows[rows["x"].notna()].groupby(["x", "label"], sort=True)
    steps = [_step(point, estimates) for _, point in points]
    # By the number in front, because as text 10 workers sort before 2.
    steps.sort(key=lambda step: (float(step.at.split()[0]), -_rank(step)))
    # Rows without a point are about the whole line: the coefficients of its law.
    of_lines = rows[rows["x"].isna()].groupby("name", sort=False)
    laws: dict[str, list[str]] = {}
    for name, law in of_lines:
        # Labels often share the reason why no law was fitted: one sentence then names them all.
        laws.setdefault(_law({row.metric: row for row in each(law)}), []).append(str(name))
    named = [(", ".join(names), sentence) for sentence, names in laws.items()]
    return ScalingLine(f"{first['title']} \N{MIDDLE DOT} {first['fixed']}", steps, named)


def _rank(step: ScalingRow) -> float:
    return step.numbers[RATE.name].value or 0.0


def _step(rows: pd.DataFrame, estimates: Mapping[Any, Any]) -> ScalingRow:
    first = next(iter(each(rows)))
    estimate = estimates.get((THROUGHPUT, *cell_key(first)))
    numbers = {column.name: Number(NOT_MEASURED) for column in (RATE, *COLUMNS)}
    if estimate is not None:
        workers = first.nodes * first.workers_per_node
        most_hz = most_per_s(workers, first.nominal_ns) if first.runs_tasks else None
        counted = plural(int(estimate.n_trials), "trial")
        numbers[RATE.name] = written(estimate, 1.0, counted, most_hz)
    most = _most(rows)
    numbers |= {row.metric: _number(row, most.get(row.metric)) for row in each(rows)}
    return ScalingRow(
        label=first.label,
        name=first.name,
        colour=colour_of(first.family),
        at=f"{first.x:g} {noun_of(first.x_axis, first.x)}",
        oversubscription=first.oversubscription,
        numbers=numbers,
    )


def _most(rows: pd.DataFrame) -> dict[str, float]:
    """Return the largest possible value of each metric of a point.

    An efficiency is a speed-up divided by the ratio of the resources, so both have the same limit;
    over the inline loop, which runs one task at a time, it is the number of workers.
    """
    first = rows.iloc[0]
    workers = float(first["nodes"] * first["workers_per_node"])
    most = {"scaling_efficiency": 1.0, "speed_up_over_inline": workers}
    values = rows.drop_duplicates("metric").set_index("metric")["estimate"]
    # The ratio of the resources is no column, but follows from the two. It is rounded, because a
    # quotient of floats is rarely exactly 2.
    if {"speed_up", "scaling_efficiency"} <= set(values.dropna().index):
        most["speed_up"] = float(round(values["speed_up"] / values["scaling_efficiency"], 6))
    return most


def _number(row: Any, most: float | None = None) -> Number:
    return written(row, 1.0, plural(int(row.n_blocks), "block"), most)


def _law(rows: Mapping[str, Any]) -> str:
    """Return the description of the law and its identified coefficients as a sentence."""
    parts = []
    for metric, template in LAW.items():
        number = _number(rows[metric])
        if number.value is not None:
            interval = f" ({number.interval})" if number.interval else ""
            parts.append(template.format(number.text) + interval)
    # A peak is only reported where the points identify it (METHOD M21); silence would hide that.
    if parts and pd.isna(rows["peak"].estimate):
        parts.append("peak not identified")
    method = str(rows["contention"].method).rstrip(".")
    return "; ".join([method, *parts]) + "."


def as_table(lines: Sequence[ScalingLine]) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and the last step of each label on each line as text."""
    headings = [
        "line",
        "label",
        "at",
        *(c.title for c in (RATE, *COLUMNS)),
        "more workers than cores",
    ]
    cells = []
    for line in lines:
        # The steps are sorted by size, so the largest of each label remains.
        last = {step.name: step for step in line.steps}
        cells += [
            [
                line.title,
                step.name,
                step.at,
                *(step.numbers[column.name].text for column in (RATE, *COLUMNS)),
                step.oversubscription,
            ]
            for step in sorted(last.values(), key=lambda step: -_rank(step))
        ]
    return "Speed-up at the end of each line", headings, cells
