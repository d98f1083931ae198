"""Tabulates the cost of a task, measured in four ways (METHOD M17), for page and terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.cells import cell_key
from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.queries import topology_names, workload_names
from lab.core.cell import PLACE, SITE
from lab.figures import Tables
from lab.report.headlines import headline
from lab.report.number_format import NOT_MEASURED, plural
from lab.report.numbers import Number, shown, written
from lab.report.summary import Column

# Of the largest burst: worker-seconds, CPU seconds, and the work of the servers.
OF_CELLS = tuple(
    Column(metric, title, metric, "burst", scale)
    for metric, title, scale in (
        ("overhead_s_per_task", "overhead us", 1e6),
        ("interference_s_per_task", "interference us", 1e6),
        ("framework_s_per_task", "framework us", 1e6),
        ("cpu_driver_s_per_task", "CPU driver us", 1e6),
        ("cpu_services_s_per_task", "CPU services us", 1e6),
        ("cpu_workers_s_per_task", "CPU workers us", 1e6),
        ("broker_commands_per_task", "broker commands", 1.0),
        ("broker_bytes_per_task", "broker bytes", 1.0),
    )
)
MARGINAL = tuple(
    Column(metric, title, metric, "burst", scale)
    for metric, title, scale in (
        ("marginal_s_per_task", "marginal us", 1e6),
        ("fixed_s", "fixed ms", 1e3),
    )
)
METG = Column("metg_50_s", "METG(50 %) us", "metg_50_s", "burst", 1e6)
# The ways that should agree are neighbours: where they differ, the cost depends on the number or
# the length of the tasks.
COLUMNS = (OF_CELLS[0], *MARGINAL, METG, *OF_CELLS[1:])


@dataclass(frozen=True, slots=True)
class Cost:
    """One label on one topology; the keys of `numbers` are the names of `COLUMNS`."""

    label: str
    name: str
    colour: str
    topology: str
    burst: str
    numbers: Mapping[str, Number]


def costs(tables: Tables) -> list[Cost]:
    """Return the rows by topology, the cheapest first; empty without marginal cost and METG.

    Args:
        tables: At least `trial`, `estimate` and `trend`.
    """
    table = tables["trend"]
    table = table[table["metric"].isin([column.metric for column in (*MARGINAL, METG)])]
    # The overhead alone is already in the summary.
    if table.empty:
        return []
    estimates = headline(tables["estimate"])
    named = table.assign(topology=topology_names(table))
    named = named.merge(identify(tables["trial"]), on="label")
    # By place and not by site: METG is one number over several sizes of a workload.
    groups = named.groupby(["topology", *PLACE], sort=False)
    trials = tables["trial"]
    trials = trials.assign(workload_name=workload_names(trials))
    rows = [_row(rows, trials, estimates) for _, rows in groups]
    return sorted(rows, key=lambda row: (row.topology, _rank(row)))


def _rank(row: Cost) -> float:
    # The marginal cost is first, because the fixed cost of a burst is not in it.
    values = (row.numbers[c.name].value for c in (MARGINAL[0], METG, OF_CELLS[0]))
    return next((value for value in values if value is not None), float("inf"))


def _row(rows: pd.DataFrame, trials: pd.DataFrame, estimates: Mapping[Any, Any]) -> Cost:
    first = rows.iloc[0]
    numbers = {column.name: Number(NOT_MEASURED) for column in COLUMNS}
    # Of several lines with one metric the first wins, because the burst below is that of the first.
    numbers |= {row.metric: _of_line(row) for row in reversed([*each(rows)])}
    marginal = rows[rows["metric"] == MARGINAL[0].metric]
    # All columns of a burst describe the tasks from which the marginal cost is computed.
    cell = _largest(trials, marginal.iloc[0]) if len(marginal) else None
    if cell is not None:
        keys = {column.name: (column.metric, *cell_key(cell)) for column in OF_CELLS}
        scales = {column.name: column.scale for column in OF_CELLS}
        numbers |= {n: shown(estimates[k], scales[n]) for n, k in keys.items() if k in estimates}
    burst = "" if cell is None else f"{cell.workload_name}, {cell.n_planned:,} tasks"
    return Cost(
        label=first["label"],
        name=first["name"],
        colour=colour_of(first["family"]),
        topology=first["topology"],
        burst=burst,
        numbers=numbers,
    )


def _of_line(row: Any) -> Number:
    scale = next(column.scale for column in COLUMNS if column.metric == row.metric)
    # An estimate over several cells is one number for each block, so n counts blocks (METHOD M17).
    return written(row, scale, plural(int(row.n_blocks), "block"))


def _largest(trials: pd.DataFrame, line: Any) -> Any:
    """Return a trial of the largest burst that belongs to a row of the trend table."""
    bursts = trials[trials["arrival"] == "burst"]
    for name in SITE:
        bursts = bursts[bursts[name] == line[name]]
    return next(iter(each(bursts.sort_values("n_planned").tail(1))), None)


def shown_columns(rows: Sequence[Cost]) -> Sequence[Column]:
    """Return the columns in which any row has a number or the reason for its absence."""
    return [c for c in COLUMNS if any(row.numbers[c.name].text != NOT_MEASURED for row in rows)]


def as_table(rows: Sequence[Cost]) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and the rows as text."""
    columns = shown_columns(rows)
    headings = ["label", "workers on", *(column.title for column in columns)]
    cells = [
        [row.name, row.topology, *(row.numbers[column.name].text for column in columns)]
        for row in rows
    ]
    return "Cost of a task, measured in four ways", headings, cells
