"""Tabulates groups, chains, priorities and retries: one table each, one row per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.analysis.labels import each, identify
from lab.core.cell import CELL
from lab.core.model import Chain, FanOut, Priority, Retry, Status
from lab.figures import Tables
from lab.report.headlines import shown_estimates
from lab.report.numbers import Number
from lab.report.summary import Column, count_of, flags_of, number_of

# Heading -> the columns that it adds up.
COUNTS = {
    "lost": ["n_lost"],
    "unfinished": ["n_partial", "n_unknown"],
    "duplicated": ["n_duplicated"],
}


@dataclass(frozen=True, slots=True)
class ArrivalTable:
    """The table of one arrival: `title` contains its parameter; the first column ranks the rows."""

    title: str
    columns: Sequence[Column]


def _table(kind: str, title: str, *columns: tuple[str, str, float]) -> tuple[str, ArrivalTable]:
    return kind, ArrivalTable(
        title, [Column(metric, text, metric, kind, scale) for metric, text, scale in columns]
    )


ARRIVAL_TABLES: Mapping[str, ArrivalTable] = dict(
    (
        _table(
            FanOut.kind,
            "Groups of {param:g} tasks, joined by the backend",
            ("group_s_p50", "submit to join p50 ms", 1e3),
            ("join_s_p50", "last task to join p50 ms", 1e3),
        ),
        _table(
            Chain.kind,
            "Chains of {param:g} tasks",
            ("link_s_p50", "link to link p50 ms", 1e3),
            ("link_s_p90", "link to link p90 ms", 1e3),
            ("chain_s_p50", "submit to end p50 ms", 1e3),
            ("chain_order_violations", "order violations", 1.0),
        ),
        _table(
            Priority.kind,
            "Priorities: {param:g} urgent tasks submitted behind waiting tasks",
            ("priority_inversion_ratio", "inverted pairs %", 100.0),
        ),
        _table(
            Retry.kind,
            "Retries, requested after {param:g} s",
            ("retry_late_s_p50", "late p50 ms", 1e3),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class WorkflowTable:
    """One table as text."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def workflow_tables(tables: Tables) -> list[WorkflowTable]:
    """Return the tables in the order of `ARRIVAL_TABLES`, their rows by the first number.

    Args:
        tables: At least `trial` and `estimate`.
    """
    trials = tables["trial"]
    trials = trials[trials["arrival"].isin(ARRIVAL_TABLES) & (trials["status"] != Status.SKIPPED)]
    # `identify` gets all trials: short names depend on every label of the campaign.
    named = trials.merge(identify(tables["trial"])[["label", "name"]], on="label")
    estimates = shown_estimates(tables["estimate"])
    results = []
    for kind, table in ARRIVAL_TABLES.items():
        trials = named[named["arrival"] == kind].sort_values(
            ["arrival_param", "workload"], kind="stable"
        )
        # Groups of 10 and of 100 tasks differ by design, so they share no ranking.
        for (param, workload), same in trials.groupby(["arrival_param", "workload"], sort=False):
            # Columns such as the rate are null here, and pandas drops null keys unless forbidden.
            cells = [list(each(cell)) for _, cell in same.groupby(CELL, dropna=False, sort=False)]
            ranked = [_row(cell, table, estimates) for cell in cells]
            # By the number alone: equal numbers would be ordered by their texts otherwise.
            rows = sorted(ranked, key=lambda row: row[0])
            headings = [column.title for column in table.columns]
            title = f"{table.title.format(param=param)} ({workload})"
            headings = [
                "label",
                "cores x nodes",
                *headings,
                *COUNTS,
                "flags",
            ]
            results.append(WorkflowTable(title, headings, [texts for _, texts in rows]))
    return results


def _row(
    cell: Sequence[Any], table: ArrivalTable, estimates: Mapping[Any, Any]
) -> tuple[float, Sequence[str]]:
    """Return the sort key and the texts of the row of one label on one topology."""
    numbers = [number_of(list(cell), estimates, column) for column in table.columns]
    first, ranked_by = cell[0], numbers[0].value
    counts = [count_of(list(cell), *columns) for columns in COUNTS.values()]
    texts = [
        first.name,
        f"{first.cores_per_node} x {first.nodes}",
        *map(_text, numbers),
        *(count.text for count in counts),
        flags_of(list(cell)),
    ]
    # None cannot be compared with a number, and belongs to the end.
    return float("inf") if ranked_by is None else ranked_by, texts


def _text(number: Number) -> str:
    return f"{number.text} ({number.interval})" if number.interval else number.text
